"""1 - SSIM as a training loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.errors import OptionError

from basicsr.utils.registry import LOSS_REGISTRY

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def ssim_map(image: torch.Tensor, image2: torch.Tensor) -> torch.Tensor:
    """SSIM around every pixel whose window lies inside the picture, each channel on its own.

    Window: 11x11 Gaussian of sigma 1.5. Data range 1.0, K1 = 0.01, K2 = 0.03, population (not sample) covariance.
    The mean equals scikit-image's ``structural_similarity(..., gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=1)``, which crops the same 5 pixels at every edge. Formula: Wang et al.,
    "Image quality assessment: from error visibility to structural similarity", IEEE TIP 13(4), 2004.

    Args:
        image: (N, C, H, W) in [0, 1]; H and W at least 11.
        image2: The same shape.

    Returns:
        (N, C, H - 10, W - 10) in [-1, 1], in float32 also for half-precision pictures and under autocast.

    Raises:
        OptionError: (a ValueError) The shapes differ, or are smaller than the window.
    """
    if image.shape != image2.shape:
        raise OptionError(f"SSIM compares equal shapes, got {tuple(image.shape)} and {tuple(image2.shape)}")
    if image.ndim != 4 or min(image.shape[-2:]) < WINDOW:
        raise OptionError(
            f"SSIM needs (N, C, H, W), {WINDOW}x{WINDOW} pixels or more, got {tuple(image.shape)}: enlarge gt_size"
        )
    dtype = torch.promote_types(torch.promote_types(image.dtype, image2.dtype), torch.float32)
    with torch.autocast(image.device.type, enabled=False):
        x, y = image.to(dtype), image2.to(dtype)
        # E[x^2] + E[y^2] comes in one piece: only the sum of both variances is needed
        mean_x, mean_y, power, product = _smooth(torch.cat([x, y, x * x + y * y, x * y])).chunk(4)
        mean_power, mean_product = mean_x * mean_x + mean_y * mean_y, mean_x * mean_y
        luminance = (2 * mean_product + C1) / (mean_power + C1)
        return luminance * (2 * (product - mean_product) + C2) / (power - mean_power + C2)


@LOSS_REGISTRY.register()
class SSIMLoss(nn.Module):
    """``loss_weight * (1 - SSIM)``, SSIM as `ssim_map` defines it; 0 for equal pictures, at most 2.

    Args:
        loss_weight: Factor.
        reduction: ``mean`` over pictures, channels and pixels; ``sum`` over the same; ``none`` returns the map of
            1 - SSIM, (N, C, H - 10, W - 10).

    Raises:
        OptionError: Another reduction.
    """

    def __init__(self, loss_weight: float = 1.0, reduction: Literal["none", "mean", "sum"] = "mean") -> None:
        super().__init__()
        if reduction not in ("none", "mean", "sum"):
            raise OptionError(f"SSIMLoss reduction is {reduction!r}: use none, mean or sum")
        self.loss_weight = loss_weight
        self.reduction = reduction

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of ``pred`` against ``target``, both (N, C, H, W) in [0, 1]; raises as `ssim_map` does."""
        loss = self.loss_weight * (1 - ssim_map(pred, target))
        if self.reduction == "none":
            return loss
        return loss.mean() if self.reduction == "mean" else loss.sum()


def _smooth(images: torch.Tensor) -> torch.Tensor:
    """Gaussian mean of every full window, as products with two banded matrices.

    On crops that is four times faster on a CPU than depthwise convolutions, and on a GPU it stays float32: cuDNN's
    convolutions are TF32 by default, too coarse for a difference of squares.
    """
    height, width = images.shape[-2:]
    return _gaussian_rows(height, images) @ images @ _gaussian_rows(width, images).T


def _gaussian_rows(size: int, like: torch.Tensor) -> torch.Tensor:
    """(size - 10, size): row i holds the weights of the window that starts at i."""
    distances = torch.arange(WINDOW, dtype=torch.float64, device=like.device) - WINDOW // 2
    gaussian = torch.exp(-0.5 * (distances / SIGMA) ** 2)
    gaussian = (gaussian / gaussian.sum()).to(like.dtype)
    starts = torch.arange(size - WINDOW + 1, device=like.device)
    positions = starts[:, None] + torch.arange(WINDOW, device=like.device)
    return like.new_zeros(len(starts), size).scatter(1, positions, gaussian.expand(len(starts), -1))
