"""What all metrics do with their two pictures before they compare them."""

from __future__ import annotations

import numpy as np

from uml_in_arch.errors import DataError


def comparable(img: np.ndarray, img2: np.ndarray, crop_border: int) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures as float64 (H, W, C) in [0, 255], without ``crop_border`` pixels at every edge.

    Args:
        img: uint8, (H, W, C) or (H, W).
        img2: The same shape.
        crop_border: Pixels, 0 or more.

    Raises:
        DataError: The pictures differ in shape, are not uint8, or nothing is left of them.
    """
    if img.shape != img2.shape:
        raise DataError(f"Cannot compare pictures of shapes {img.shape} and {img2.shape}: make them equal in size")
    if img.dtype != np.uint8 or img2.dtype != np.uint8 or img.ndim not in (2, 3):
        raise DataError(f"Cannot compare {img.dtype} and {img2.dtype} arrays: metrics take uint8 (H, W, C) pictures")
    height, width = img.shape[:2]
    if not 0 <= 2 * crop_border < min(height, width):
        raise DataError(f"crop_border {crop_border} leaves nothing of a {width}x{height} picture: lower it")
    inside = np.s_[crop_border : height - crop_border, crop_border : width - crop_border]
    first, second = (np.atleast_3d(image[inside]).astype(np.float64) for image in (img, img2))
    return first, second
