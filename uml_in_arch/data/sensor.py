"""What happens to a picture between the sensor and the file: noise and JPEG compression."""

from __future__ import annotations

import cv2
import numpy as np

JPEG_BLOCK = 16  # pixels of a block of halved chroma


def add_noise(levels: np.ndarray, deviation: float, shot: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise whose variance grows with the level, as photon noise's does.

    Args:
        levels: float32, 0 to 255.
        deviation: Standard deviation at black, in 8-bit levels.
        shot: What is added at white, likewise; variances add up.
        rng: The source of randomness.

    Returns:
        float32, not clipped.
    """
    if not deviation and not shot:
        return levels
    deviations = np.sqrt(deviation**2 + shot**2 / 255 * levels, dtype=np.float32)
    return levels + deviations * rng.standard_normal(levels.shape, dtype=np.float32)


def compress(image: np.ndarray, quality: int, rng: np.random.Generator) -> np.ndarray:
    """Compress uint8 RGB (H, W, 3) as JPEG and read it back; where its blocks begin is random, as in a cropped file."""
    above, before = (int(offset) for offset in rng.integers(0, JPEG_BLOCK, 2))
    padded = cv2.copyMakeBorder(image[..., ::-1], above, 0, before, 0, cv2.BORDER_REPLICATE)
    _, encoded = cv2.imencode(".jpg", padded, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[above:, before:, ::-1])
