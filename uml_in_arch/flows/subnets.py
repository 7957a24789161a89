"""Networks inside couplings. They need no inverse; their last layer starts at zero."""

from __future__ import annotations

from torch import nn

from uml_in_arch.flows.coupling import SubnetFactory


def conv_subnet(hidden: int) -> SubnetFactory:
    """3x3 convolution, 1x1 convolution and 3x3 convolution with ReLU between them, ``hidden`` channels wide (Glow)."""

    def build(in_channels: int, out_channels: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(in_channels, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(),
            zero_conv(hidden, out_channels),
        )

    return build


def zero_conv(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Module:
    """One convolution that starts at zero: enough where the condition is already a deep feature."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv
