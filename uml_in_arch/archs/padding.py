"""Padding pictures to sizes that a network can work on, and cropping back."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

Padding = tuple[int, int, int, int]
"""Pixels to add at the left, right, top and bottom, as `torch.nn.functional.pad` takes them."""

Mode = Literal["reflect", "replicate", "constant"]


def to_multiple(image: Tensor, multiple: int, at_least: int = 1, margin: int = 0) -> Padding:
    """At the right and bottom, by at least ``margin``, up to a multiple that is not below ``at_least``."""
    height, width = (_up(max(side + margin, at_least), multiple) - side for side in image.shape[-2:])
    return 0, width, 0, height


def to_square(image: Tensor, multiple: int) -> Padding:
    """On all sides, so that the picture is centred in a square whose side is a multiple."""
    side = _up(max(image.shape[-2:]), multiple)
    height, width = (side - length for length in image.shape[-2:])
    return width // 2, width - width // 2, height // 2, height - height // 2


def extend(image: Tensor, padding: Padding, mode: Mode = "reflect") -> Tensor:
    """Pad (N, C, H, W); where a picture is too small for its reflection, its border is repeated."""
    height, width = image.shape[-2:]
    if mode == "reflect" and (max(padding[:2]) >= width or max(padding[2:]) >= height):
        mode = "replicate"
    return F.pad(image, padding, mode=mode) if any(padding) else image


def crop(image: Tensor, padding: Padding) -> Tensor:
    """Undo `extend`."""
    left, right, top, bottom = padding
    return image[..., top : image.shape[-2] - bottom, left : image.shape[-1] - right]


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
