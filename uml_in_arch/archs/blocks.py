"""Building blocks of the conditioning networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from uml_in_arch.flows.base import full_precision


class ChannelLayerNorm(nn.Module):
    """Layer normalisation over the channels of every pixel of (N, C, H, W), in float32."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; shape and dtype are kept."""
        pixels = x.permute(0, 2, 3, 1)  # the memory order of channels_last, in which torch's own normalisation runs
        with full_precision(x):
            weight, bias = self.weight.flatten().float(), self.bias.flatten().float()
            normalised = F.layer_norm(pixels.float(), weight.shape, weight, bias, self.eps)
        return normalised.permute(0, 3, 1, 2).to(x.dtype)


class Gate(nn.Module):
    """Product of the two halves of the channels, (N, 2C, H, W) to (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the halves."""
        first, second = x.chunk(2, dim=1)
        return first * second


class GatedBlock(nn.Module):
    """Two residual branches, spatial and pointwise, with gates instead of activation functions.

    Normalisation, 1x1 convolution to 2C, 3x3 depthwise convolution, gate, 1x1 convolution; then the same without the
    depthwise convolution (after NAFNet, Chen et al. 2022, section 3, without its global channel attention, whose
    average over the whole image would differ between training crops and full photographs). Both branches start at 0.

    Args:
        channels: number of channels C of input and output.

    Attributes:
        memory_saving: keep the input only for the backward pass, which computes the rest again.
    """

    memory_saving = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.spatial = nn.Sequential(
            ChannelLayerNorm(channels),
            nn.Conv2d(channels, wide, 1),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide),
            Gate(),
            nn.Conv2d(channels, channels, 1),
        )
        self.pointwise = nn.Sequential(
            ChannelLayerNorm(channels),
            nn.Conv2d(channels, wide, 1),
            Gate(),
            nn.Conv2d(channels, channels, 1),
        )
        self.spatial_scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.pointwise_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if self.memory_saving and torch.is_grad_enabled():
            return checkpoint(self._run, x, use_reentrant=False)
        return self._run(x)

    def _run(self, x: Tensor) -> Tensor:
        x = x.to(self.spatial_scale.dtype)  # autocast must not round what the blocks add up
        x = x + _scaled(self.spatial, self.spatial_scale, x)
        return x + _scaled(self.pointwise, self.pointwise_scale, x)


def _scaled(branch: nn.Sequential, scale: Tensor, x: Tensor) -> Tensor:
    """``branch(x) * scale``, with the scale in the last convolution's weights: a pass over the features less."""
    *layers, last = branch
    for layer in layers:
        x = layer(x)
    return F.conv2d(x, last.weight * scale[..., None], last.bias * scale.flatten())


def gated_blocks(channels: int, count: int) -> nn.Sequential:
    """``count`` gated blocks in a row."""
    return nn.Sequential(*(GatedBlock(channels) for _ in range(count)))
