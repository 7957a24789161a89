"""The context network of `UMLINPlus`: features of the blurry image that condition its flows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from uml_in_arch.archs.blocks import gated_blocks
from uml_in_arch.archs.spectral import SpectralFilter
from uml_in_arch.flows import Haar, extend_to_even


class Context(NamedTuple):
    """What the context encoder makes of a blurry image (N, C, H, W).

    Attributes:
        features: (N, widths[l], ceil(H / 2^(l+1)), ceil(W / 2^(l+1))), finest level first.
        guess: (N, 1, H, W), what the first filter of each window size would add to every channel, summed.
    """

    features: list[Tensor]
    guess: Tensor


class ContextEncoder(nn.Module):
    """The way down: the blurry image and first guesses of the sharp one to one feature map per wavelet level.

    Args:
        in_channels: channels C of the image.
        widths: feature channels per level, finest (half resolution) first.
        blocks: gated blocks per level.
        spectral_channels, spectral_filters: see `SpectralFilter`, which makes the guesses.
        spectral_windows: its windows; one filter bank for each.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        spectral_channels: int,
        spectral_windows: Sequence[int],
        spectral_filters: int,
    ) -> None:
        super().__init__()
        self.spectral = nn.ModuleList(
            SpectralFilter(spectral_channels, window, spectral_filters) for window in spectral_windows
        )
        self.haar = Haar()
        self.stem = nn.Conv2d(4 * in_channels, widths[0], 3, padding=1)
        self.guess = nn.Conv2d(4 * spectral_filters * len(self.spectral), widths[0], 1)
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths))
        self.blocks = nn.ModuleList(gated_blocks(width, count) for width, count in zip(widths, blocks, strict=True))

    def forward(self, blur: Tensor) -> Context:
        """Encode a blurry image (N, C, H, W) in [0, 1]."""
        maps = [spectral(blur).to(blur.dtype) for spectral in self.spectral]
        guess = sum(own[:, :1] for own in maps)
        guesses = torch.cat(maps, dim=1)
        x = self.stem(self.haar(extend_to_even(blur))) + self.guess(self.haar(extend_to_even(guesses)))
        features = [self.blocks[0](x)]
        for down, blocks in zip(self.down, self.blocks[1:], strict=True):
            features.append(blocks(down(extend_to_even(features[-1]))))
        return Context(features, guess)


class ContextDecoder(nn.Module):
    """The way up, joined at every level by the branch's own low band, which a flow has when it needs its condition.

    Args:
        in_channels, widths, blocks: as for `ContextEncoder`.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.join = nn.ModuleList(nn.Conv2d(in_channels, width, 1) for width in widths)
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, 4 * fine, 1), nn.PixelShuffle(2)) for fine, coarse in pairwise(widths)
        )
        self.blocks = nn.ModuleList(gated_blocks(width, count) for width, count in zip(widths, blocks, strict=True))

    def forward(self, level: int, low: Tensor, feature: Tensor, coarser: Tensor | None) -> Tensor:
        """The condition of one level.

        Args:
            level: wavelet level, 1 is the finest.
            low: the branch's low band a_l, (N, C, h, w).
            feature: the encoder's feature of this level, (N, widths[l - 1], h, w).
            coarser: what this method returned for level + 1; None at the coarsest level.
        """
        x = feature + self.join[level - 1](low / 2**level)  # the low band of l levels is 2^l times the average
        if coarser is not None:
            height, width = low.shape[2:]
            x = x + self.up[level - 1](coarser)[:, :, :height, :width]
        return self.blocks[level - 1](x)
