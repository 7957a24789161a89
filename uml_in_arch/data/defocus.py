"""Pictures out of focus: a lens spreads every point over a disc."""

from __future__ import annotations

import cv2
import numpy as np


def out_of_focus(image: np.ndarray, radius: float) -> np.ndarray:
    """Spread a picture's pixels over discs, of its 8-bit values as they are; beyond its edge is its mirror image.

    Args:
        image: uint8, (H, W, C) or (H, W).
        radius: of the discs, in pixels, at least 0; their edges are a pixel soft.

    Returns:
        uint8, the same shape.
    """
    reach = int(np.ceil(radius))
    across = np.arange(-reach, reach + 1)
    disc = np.clip(radius + 0.5 - np.hypot(across[:, None], across), 0, 1)
    return cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT_101)
