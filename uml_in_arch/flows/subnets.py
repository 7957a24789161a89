"""Networks inside couplings. They need no inverse; their last layer starts at zero."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.flows.coupling import SubnetFactory


class ConcatConv2d(nn.Conv2d):
    """``conv(cat(maps, dim=1))`` as a sum of convolutions: a wide condition is neither copied nor cast to do it."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Feature maps (N, C_i, H, W), together ``in_channels`` wide, to (N, out_channels, H, W)."""
        weights = self.weight.split([part.shape[1] for part in maps], dim=1)
        first, *others = (
            F.conv2d(part, weight, padding=self.padding) for part, weight in zip(maps, weights, strict=True)
        )
        return sum(others, first) + self.bias[:, None, None]


def conv_subnet(hidden: int) -> SubnetFactory:
    """3x3 convolution, 1x1 convolution and 3x3 convolution with ReLU between them, ``hidden`` channels wide (Glow)."""

    def build(in_channels: int, out_channels: int) -> nn.Module:
        return nn.Sequential(
            ConcatConv2d(in_channels, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(),
            _from_zero(nn.Conv2d(hidden, out_channels, 3, padding=1)),
        )

    return build


def _from_zero(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv
