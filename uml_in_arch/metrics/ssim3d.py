"""SSIM over RGB volumes: the convention behind the deblurring literature's numbers."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.metrics.images import comparable

from basicsr.utils.registry import METRIC_REGISTRY

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


@METRIC_REGISTRY.register()
def calculate_ssim3d(
    img: np.ndarray, img2: np.ndarray, crop_border: int = 0, better: Literal["higher", "lower"] = "higher"
) -> float:
    """SSIM of two pictures taken as volumes (H, W, C), as MATLAB's ``ssim`` does with RGB and as NAFNet reports.

    The window is an 11x11x11 Gaussian of sigma 1.5, also across channels; edges are replicated in all three
    directions; K1 = 0.01, K2 = 0.03, data range 255. It is higher than the mean over channels of 2-D SSIM (BasicSR's
    ``calculate_ssim``), for example .797 against .717 at 24 dB: never compare one with the other. Formula: Wang et
    al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 13(4), 2004.

    Args:
        img: uint8, (H, W, C) or (H, W), any order of channels.
        img2: The same shape.
        crop_border: Pixels left out at every edge.
        better: Not used here: BasicSR reads it to track the best result, then passes it on.

    Raises:
        DataError: The pictures cannot be compared.
    """
    first, second = comparable(img, img2, crop_border)
    mean1, mean2 = _smooth(first), _smooth(second)
    # E[x^2] + E[y^2] comes in one piece: only the sum of both variances is needed
    power = _smooth(first * first + second * second) - mean1 * mean1 - mean2 * mean2
    covariance = _smooth(first * second) - mean1 * mean2
    luminance = (2 * mean1 * mean2 + C1) / (mean1 * mean1 + mean2 * mean2 + C1)
    return float((luminance * (2 * covariance + C2) / (power + C2)).mean())


def _smooth(volume: np.ndarray) -> np.ndarray:
    """Gaussian mean over rows, columns and channels, one after the other."""
    blurred = cv2.GaussianBlur(volume, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REPLICATE)
    return blurred.reshape(volume.shape) @ _channel_mixing(volume.shape[2])


def _channel_mixing(channels: int) -> np.ndarray:
    """The Gaussian across channels with replicated ends, as a matrix: column c makes channel c's mean."""
    gaussian = cv2.getGaussianKernel(WINDOW, SIGMA).ravel()
    weights = np.zeros((channels, channels))
    for target in range(channels):
        sources = np.clip(np.arange(WINDOW) - WINDOW // 2 + target, 0, channels - 1)
        np.add.at(weights[:, target], sources, gaussian)
    return weights
