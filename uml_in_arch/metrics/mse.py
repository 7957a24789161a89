"""Mean squared error as the paper's tables give it."""

from __future__ import annotations

from typing import Literal

import numpy as np

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.metrics.images import comparable

from basicsr.utils.registry import METRIC_REGISTRY


@METRIC_REGISTRY.register()
def calculate_mse(
    img: np.ndarray, img2: np.ndarray, crop_border: int = 0, better: Literal["higher", "lower"] = "lower"
) -> float:
    """Mean squared error of two pictures scaled to [0, 1], over all pixels and channels; lower is better.

    Args:
        img: uint8, (H, W, C) or (H, W), any order of channels.
        img2: The same shape.
        crop_border: Pixels left out at every edge.
        better: Not used here: BasicSR reads it to track the best result (say ``lower``), then passes it on.

    Raises:
        DataError: The pictures cannot be compared.
    """
    first, second = comparable(img, img2, crop_border)
    return float(np.mean((first - second) ** 2)) / 255**2
