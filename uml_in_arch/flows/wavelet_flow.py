"""A multi-level wavelet flow: image <-> latents, coarse to fine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.flows.haar import Haar
from uml_in_arch.flows.sequence import FlowSequence

# level (1 is the finest) and that level's low band (N, C, h, w) -> the condition of its detail flow
Conditioner = Callable[[int, Tensor], Tensor]


class Latents(NamedTuple):
    """What a branch encodes an image to.

    Attributes:
        details: z_1 ... z_L, finest first; z_l is (N, 3C, ceil(H / 2^l), ceil(W / 2^l)).
        base: z_base (N, C, ceil(H / 2^L), ceil(W / 2^L)).
        size: (H, W) of the image.
    """

    details: tuple[Tensor, ...]
    base: Tensor
    size: tuple[int, int]

    def tensors(self) -> tuple[Tensor, ...]:
        """All latents, finest first, the base last."""
        return (*self.details, self.base)


class WaveletFlow(nn.Module):
    """One branch: an orthonormal Haar pyramid whose detail bands and base go through conditional flows.

    Encoding needs the condition of a level only once its low band is known, and so does decoding, which runs coarse to
    fine. Any size of at least 1x1 is inverted exactly: where a level has an odd height or width, the last row or
    column is doubled before the transform (a half-sample symmetric extension, so its difference is 0), and the flow
    leaves these cells alone; decoding drops the double again.

    Args:
        details: the flows F_1 ... F_L of the detail bands, finest first.
        base: the flow of the last low band.
    """

    def __init__(self, details: Sequence[FlowSequence], base: FlowSequence) -> None:
        super().__init__()
        self.details = nn.ModuleList(details)
        self.base = base
        self.haar = Haar()

    @property
    def num_levels(self) -> int:
        """Number of wavelet levels L."""
        return len(self.details)

    def encode(self, image: Tensor, conditioner: Conditioner, base_cond: Tensor | None = None) -> Latents:
        """Image (N, C, H, W) to latents."""
        lows, bands = [], []
        low = image
        for _ in range(self.num_levels):
            low, detail = self._split(low)
            lows.append(low)
            bands.append(detail)
        base = self.base(low, base_cond)
        details = [torch.empty(0)] * self.num_levels
        for level in range(self.num_levels, 0, -1):  # a conditioner may build on what it made for coarser levels
            cond = conditioner(level, lows[level - 1])
            details[level - 1] = self._flow(level, bands[level - 1], cond, self._whole_cells(image, level))
        return Latents(tuple(details), base, (image.shape[2], image.shape[3]))

    def decode(self, latents: Latents, conditioner: Conditioner, base_cond: Tensor | None = None) -> Tensor:
        """Latents to the image (N, C, H, W), the inverse of `encode` for the same conditions."""
        sizes = [latents.size]
        for _ in range(self.num_levels):
            sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
        low = self.base.inverse(latents.base, base_cond)
        for level in range(self.num_levels, 0, -1):
            height, width = sizes[level - 1]
            cond = conditioner(level, low)
            detail = self._flow(level, latents.details[level - 1], cond, (height // 2, width // 2), inverse=True)
            low = self.haar.inverse(torch.cat([low, detail], dim=1))[:, :, :height, :width]
        return low

    def _split(self, image: Tensor) -> tuple[Tensor, Tensor]:
        bands = self.haar(extend_to_even(image))
        channels = image.shape[1]
        return bands[:, :channels], bands[:, channels:]

    @staticmethod
    def _whole_cells(image: Tensor, level: int) -> tuple[int, int]:
        height, width = image.shape[2:]
        for _ in range(level - 1):
            height, width = (height + 1) // 2, (width + 1) // 2
        return height // 2, width // 2

    def _flow(self, level: int, band: Tensor, cond: Tensor, whole: tuple[int, int], *, inverse: bool = False) -> Tensor:
        """Run F_l on the cells that have all four pixels; the others pass through in both directions."""
        flow = self.details[level - 1]
        run = flow.inverse if inverse else flow
        height, width = whole
        if band.shape[2:] == whole:
            return run(band, cond)
        if 0 in whole:
            return band
        inner = run(band[:, :, :height, :width], cond[:, :, :height, :width])
        upper = torch.cat([inner, band[:, :, :height, width:]], dim=3)
        return torch.cat([upper, band[:, :, height:]], dim=2)


def extend_to_even(image: Tensor) -> Tensor:
    """Double the last row or column where the height or width is odd."""
    odd_height, odd_width = image.shape[2] % 2, image.shape[3] % 2
    return F.pad(image, (0, odd_width, 0, odd_height), mode="replicate") if odd_height or odd_width else image
