"""Orthonormal Haar wavelet transform."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from uml_in_arch.flows.base import Invertible


class Haar(Invertible):
    """One level of the orthonormal 2-D Haar transform, (N, C, H, W) <-> (N, 4C, H/2, W/2).

    The first C channels are the low band: twice the average of each 2x2 cell. The other 3C are the differences
    along the width, along the height and across the diagonal, C channels each. Orthonormal means that the sum of
    squares is kept and log |det| is 0; four numbers are added with weight 1/2 (Mallat, A Wavelet Tour of Signal
    Processing, section 7.7).

    Raises:
        ValueError: if H or W is odd (forward), or the channels are no multiple of 4 (inverse).
    """

    def transform(self, x: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Butterflies on strided slices: additions only, so autocast does not touch them."""
        return (self._synthesis(x) if inverse else self._analysis(x)), x.new_zeros(())

    @staticmethod
    def _analysis(x: Tensor) -> Tensor:
        if x.shape[2] % 2 or x.shape[3] % 2:
            raise ValueError(f"Haar takes an even height and width, got {x.shape[2]}x{x.shape[3]}")
        x = x.contiguous()  # bands of a few channels: in channels_last every pass over them takes twice as long
        left, right = x[..., 0::2], x[..., 1::2]
        total, across = left + right, left - right
        top, bottom = total[:, :, 0::2], total[:, :, 1::2]
        across_top, across_bottom = across[:, :, 0::2], across[:, :, 1::2]
        bands = (top + bottom, across_top + across_bottom, top - bottom, across_top - across_bottom)
        return torch.cat(bands, dim=1) * 0.5

    @staticmethod
    def _synthesis(z: Tensor) -> Tensor:
        if z.shape[1] % 4:
            raise ValueError(f"the inverse Haar transform takes 4C channels, got {z.shape[1]}")
        low, width, height, diagonal = (z * 0.5).chunk(4, dim=1)
        top, bottom = low + height, low - height
        across_top, across_bottom = width + diagonal, width - diagonal
        cells = [top + across_top, top - across_top, bottom + across_bottom, bottom - across_bottom]
        return rearrange(cells, "(i j) n c h w -> n c (h i) (w j)", i=2, j=2)
