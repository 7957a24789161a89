"""Bring a sharp picture to the place of its blurry partner: off-centre kernels shift what they blur."""

from __future__ import annotations

import cv2
import numpy as np

from uml_in_arch.data.kernels import kernel_centroid

MAX_SHIFT = 48  # pixels; Lai's kernels have sides up to 75


def shift_of_kernel(kernel: np.ndarray) -> tuple[int, int]:
    """(down, right) from a point of the blurry picture to the same point of the sharp one, in whole pixels.

    Blurring is correlation (`uml_in_arch.data.blur`), so this is the kernel's centroid seen from its middle. It is
    rounded to whole pixels, since interpolating would blur the ground truth: up to half a pixel remains each way.
    """
    down, right = kernel_centroid(kernel)
    return round(down), round(right)


def best_shift(blur: np.ndarray, sharp: np.ndarray) -> tuple[int, int]:
    """(down, right) from the blurry to the sharp picture with the least squared difference, in whole pixels.

    All shifts up to 48 pixels (an eighth of the picture if that is less) each way are tried, on the part of the blurry
    picture that stays inside the sharp one for all of them.

    Args:
        blur: (h, w, 3) BGR uint8.
        sharp: the same shape.
    """
    reach = min(MAX_SHIFT, min(blur.shape[:2]) // 8)
    blurry, reference = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32) for image in (blur, sharp))
    middle = blurry[reach : blurry.shape[0] - reach, reach : blurry.shape[1] - reach]
    difference = cv2.matchTemplate(reference, np.ascontiguousarray(middle), cv2.TM_SQDIFF)
    _, _, (right, down), _ = cv2.minMaxLoc(difference)
    return down - reach, right - reach


def crop_to_common(blur: np.ndarray, sharp: np.ndarray, shift: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The parts of both pictures that show the same, given ``shift`` from the blurry to the sharp one."""
    height, width = blur.shape[:2]
    down, right = shift
    rows, columns = height - abs(down), width - abs(right)
    top, left = max(0, -down), max(0, -right)
    return (
        blur[top : top + rows, left : left + columns],
        sharp[top + down : top + down + rows, left + right : left + right + columns],
    )
