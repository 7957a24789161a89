"""Light and its 8-bit encoding: what a sensor adds up, and what a file holds."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np


@lru_cache
def _gamma_table() -> np.ndarray:
    return np.linspace(0, 1, 256, dtype=np.float32)


@lru_cache
def _srgb_table() -> np.ndarray:
    """Light of each 8-bit sRGB value (IEC 61966-2-1)."""
    values = np.linspace(0, 1, 256)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _encode_srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * cv2.pow(light, 1 / 2.4).reshape(light.shape) - 0.055)


# ``TO_LIGHT[space]()`` is a table of 256 float32 values, ``FROM_LIGHT[space]`` maps light in [0, 1] back to [0, 1]
TO_LIGHT = {"gamma": _gamma_table, "linear": _srgb_table}
FROM_LIGHT = {"gamma": lambda light: light, "linear": _encode_srgb}


def picture_to_light(image: np.ndarray, space: str, hidden_light: float) -> np.ndarray:
    """Decode uint8 to float32 light, 1 = white; channels at 255 get ``hidden_light`` more, which clipping hid."""
    light = TO_LIGHT[space]()[image]
    if hidden_light:
        light[image == 255] += hidden_light
    return light


def light_to_levels(light: np.ndarray, space: str) -> np.ndarray:
    """Clip light at black and white and encode it: float32 levels in [0, 255], not yet rounded."""
    return 255 * FROM_LIGHT[space](light.clip(0, 1))


def round_to_picture(levels: np.ndarray) -> np.ndarray:
    """Round levels to uint8."""
    return np.rint(levels).clip(0, 255).astype(np.uint8)
