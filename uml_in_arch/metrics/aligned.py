"""PSNR and SSIM up to a shift, for data whose ground truth is not aligned with the blurry picture (Lai et al. 2016)."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
import scipy.signal

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.errors import DataError
from uml_in_arch.metrics.images import comparable

from basicsr.metrics.psnr_ssim import calculate_ssim
from basicsr.utils.registry import METRIC_REGISTRY

SSIM_WINDOW = 11


@METRIC_REGISTRY.register()
def calculate_psnr_aligned(
    img: np.ndarray,
    img2: np.ndarray,
    crop_border: int = 0,
    max_shift: int = 16,
    better: Literal["higher", "lower"] = "higher",
) -> float:
    """PSNR in dB after the best shift of the restored picture (see `align`), over all pixels and channels.

    Args:
        img: The restored picture, uint8, (H, W, C) or (H, W).
        img2: The ground truth, the same shape; never interpolated.
        crop_border: Pixels left out at every edge, before the ``max_shift + 1`` that the search leaves out.
        max_shift: Largest shift tried in each direction, in pixels.
        better: Not used here: BasicSR reads it to track the best result, then passes it on.

    Returns:
        Decibels; infinity for equal pictures.

    Raises:
        DataError: The pictures cannot be compared, or are too small for the search.
    """
    restored, truth = align(*comparable(img, img2, crop_border), max_shift)
    error = float(np.mean((restored - truth) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


@METRIC_REGISTRY.register()
def calculate_ssim_aligned(
    img: np.ndarray,
    img2: np.ndarray,
    crop_border: int = 0,
    max_shift: int = 16,
    better: Literal["higher", "lower"] = "higher",
) -> float:
    """SSIM, 2-D per channel (BasicSR's), after the shift of smallest squared error.

    Arguments and errors are those of `calculate_psnr_aligned`.
    """
    restored, truth = align(*comparable(img, img2, crop_border), max_shift)
    return float(calculate_ssim(restored, truth, crop_border=0))


def align(restored: np.ndarray, truth: np.ndarray, max_shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Move ``restored`` to where its squared error against ``truth`` is smallest.

    All whole-pixel shifts up to ``max_shift`` are compared, then half and quarter pixels around the best one, with
    bilinear interpolation (the step and the interpolation of Levin et al., CVPR 2009). Every shift is judged on the
    same pixels of ``truth``, those at least ``max_shift + 1`` from its edges.

    Args:
        restored: float64, (H, W, C).
        truth: The same shape.
        max_shift: Pixels, 0 or more.

    Returns:
        Both pictures on those pixels, (H - 2 * max_shift - 2, W - 2 * max_shift - 2, C).

    Raises:
        DataError: ``max_shift`` is negative or leaves less than an SSIM window.
    """
    margin = max_shift + 1
    if max_shift < 0 or min(truth.shape[:2]) < 2 * margin + SSIM_WINDOW:
        height, width = truth.shape[:2]
        raise DataError(f"max_shift {max_shift} does not suit a {width}x{height} picture: lower it, not below 0")
    target = truth[margin:-margin, margin:-margin]
    best = _best_whole_shift(restored, target, margin)
    for step in (0.5, 0.25):
        candidates = [
            (best[0] + step * down, best[1] + step * right) for down, right in itertools.product((0, -1, 1), repeat=2)
        ]
        allowed = [shift for shift in candidates if max(map(abs, shift)) <= max_shift]
        best = min(allowed, key=lambda shift: float(np.mean((_window(restored, shift, target.shape) - target) ** 2)))
    return _window(restored, best, target.shape), target


def _best_whole_shift(restored: np.ndarray, target: np.ndarray, margin: int) -> tuple[float, float]:
    """Squared errors of all shifts at once: sum of squares of the window, minus twice the correlation."""
    inner = restored[1:-1, 1:-1]  # the outermost pixel is for interpolation
    squares = (inner**2).sum(axis=2).cumsum(axis=0).cumsum(axis=1)
    squares = np.pad(squares, ((1, 0), (1, 0)))
    height, width = target.shape[:2]
    strips = squares[height:] - squares[:-height]
    energy = strips[:, width:] - strips[:, :-width]
    flipped = target[::-1, ::-1]
    match = sum(scipy.signal.fftconvolve(inner[..., c], flipped[..., c], "valid") for c in range(target.shape[2]))
    row, column = np.unravel_index(np.argmin(energy - 2 * match), energy.shape)
    return float(row - (margin - 1)), float(column - (margin - 1))


def _window(restored: np.ndarray, shift: tuple[float, float], shape: tuple[int, ...]) -> np.ndarray:
    """The part of ``restored`` that lies over the target when moved by ``shift`` (down, right), bilinearly."""
    height, width, _ = shape
    down, right = (math.floor(offset) for offset in shift)
    top, left = (restored.shape[0] - height) // 2 + down, (restored.shape[1] - width) // 2 + right
    rows, columns = shift[0] - down, shift[1] - right
    block = restored[top : top + height + 1, left : left + width + 1]
    lines = block[:height] + rows * (block[1 : height + 1] - block[:height]) if rows else block[:height]
    return lines[:, :width] + columns * (lines[:, 1 : width + 1] - lines[:, :width]) if columns else lines[:, :width]
