"""Random outlines of things that move before a picture: ellipses, polygons and blobs."""

from __future__ import annotations

import cv2
import numpy as np

POINTS = 64
SUBPIXEL_BITS = 4


def random_outline(rng: np.random.Generator, area: float) -> np.ndarray:
    """A closed outline around 0: an ellipse, a polygon of 3 to 8 corners or a wavy blob, each equally often.

    Args:
        rng: The source of randomness.
        area: What it encloses, in pixels.

    Returns:
        (n, 2), x and y; up to three times as long as wide.
    """
    kind = rng.choice(["ellipse", "polygon", "blob"])
    corners = int(rng.integers(3, 8, endpoint=True)) if kind == "polygon" else POINTS
    angles = 2 * np.pi * (np.arange(corners) + (0.6 * rng.random(corners) if kind == "polygon" else 0)) / corners
    radii = np.ones(corners)
    if kind == "polygon":
        radii = rng.uniform(0.6, 1, corners)
    if kind == "blob":
        for wave in range(2, 6):
            radii += 0.5 * rng.random() / wave * np.cos(wave * angles + 2 * np.pi * rng.random())
    points = radii * np.exp(1j * angles)
    points = (points.real * np.sqrt(rng.uniform(1, 3)) + 1j * points.imag) * np.exp(2j * np.pi * rng.random())
    after = np.roll(points, -1)
    enclosed = abs(np.sum(points.real * after.imag - after.real * points.imag)) / 2
    points *= np.sqrt(area / enclosed)
    return np.stack([points.real, points.imag], axis=1)


def draw_cover(outline: np.ndarray, height: int, width: int, softness: float) -> np.ndarray:
    """Fill an outline, (n, 2) in pixels from the first pixel's middle.

    Args:
        outline: What to fill; parts outside the picture are left out.
        height: Pixels.
        width: Pixels.
        softness: Standard deviation, in pixels, of the edge's softness.

    Returns:
        float32 (height, width), 0 outside to 1 inside.
    """
    cover = np.zeros((height, width), dtype=np.uint8)
    fixed_point = np.rint(outline * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(cover, [fixed_point], 255, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
    return cv2.GaussianBlur(cover.astype(np.float32) / 255, (0, 0), softness)
