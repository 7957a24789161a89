"""Spectra on a polar grid: motion blur is a matter of direction and length, and cells of both are few."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PolarGrid(nn.Module):
    """Cells of direction and frequency, and the bins of a real Fourier transform of windows.

    Directions are taken modulo pi, since the power spectrum of a real picture is symmetric. Bilinear weights join bins
    and cells; frequencies above half a cycle per pixel (the corners) belong to the last cells.

    Args:
        window: side P of the windows in pixels, even.
        angles: number of directions A.
        radii: number of frequencies R, from 0 to half a cycle per pixel.
    """

    cells: Tensor
    shares: Tensor
    sorted_bins: Tensor
    sorted_shares: Tensor
    starts: Tensor

    def __init__(self, window: int, angles: int, radii: int) -> None:
        super().__init__()
        self.angles, self.radii = angles, radii
        down = torch.fft.fftfreq(window, dtype=torch.float64)[:, None]
        right = torch.fft.rfftfreq(window, dtype=torch.float64)[None]
        angle = (torch.atan2(down, right) / math.pi * angles).flatten()
        radius = (torch.hypot(down, right).clamp(max=0.5) * 2 * (radii - 1)).flatten()
        cells, shares = [], []
        for turn in (0, 1):
            for step in (0, 1):
                at_angle, at_radius = angle.floor() + turn, radius.floor() + step
                cells.append(at_angle % angles * radii + at_radius.clamp(max=radii - 1))
                shares.append((1 - (angle - at_angle).abs()) * (1 - (radius - at_radius).abs()))
        of_bin, share = torch.stack(cells, 1).long(), torch.stack(shares, 1)
        total = torch.zeros(angles * radii, dtype=torch.float64).index_add_(0, of_bin.flatten(), share.flatten())
        order = of_bin.flatten().argsort(stable=True)
        counts = torch.bincount(of_bin.flatten(), minlength=angles * radii)
        buffers = {
            "cells": of_bin,
            "shares": share.float(),
            "sorted_bins": order // of_bin.shape[1],
            "sorted_shares": (share.flatten() / total[of_bin.flatten()].clamp(min=1e-6))[order].float(),
            "starts": counts.cumsum(0) - counts,
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)

    def pool(self, spectra: Tensor) -> Tensor:
        """Means over the cells: (P * (P // 2 + 1), M) to (A * R, M), float32; a cell without bins is 0."""
        return F.embedding_bag(
            self.sorted_bins, spectra, self.starts, mode="sum", per_sample_weights=self.sorted_shares
        )

    def spread(self, values: Tensor) -> Tensor:
        """Interpolate cells to bins: (A * R, M) to (P * (P // 2 + 1), M), float32."""
        return F.embedding_bag(self.cells, values, mode="sum", per_sample_weights=self.shares)


class DirectionBlock(nn.Module):
    """A gated residual block along the circle of directions, the same for each of them.

    Normalisation, the mean over all directions added, a circular convolution over neighbouring ones, gate, 1x1.

    Args:
        channels: number of channels C of input and output.
    """

    REACH = 2  # neighbouring directions on each side

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.all_round = nn.Linear(channels, channels)
        self.wide = nn.Conv1d(channels, 2 * channels, 2 * self.REACH + 1, padding=self.REACH, padding_mode="circular")
        self.last = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(M, C, A) to the same shape."""
        y = self.norm(x.transpose(1, 2))
        y = y + self.all_round(y.mean(1, keepdim=True))
        first, second = self.wide(y.transpose(1, 2)).chunk(2, dim=1)
        return x + self.last(first * second)
