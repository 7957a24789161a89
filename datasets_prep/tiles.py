"""Sub-images of a fixed size that cover a picture."""

from __future__ import annotations

import numpy as np
from lmdb_build import Record
from png_file import encode_png


def tile_starts(size: int, tile: int, step: int) -> list[int]:
    """First pixels of the tiles that cover ``size`` pixels; the last tile ends at the border."""
    starts = list(range(0, size - tile + 1, step))
    if starts[-1] + tile < size:
        starts.append(size - tile)
    return starts


def cut_tiles(key: str, images: tuple[np.ndarray, ...], tile: int, step: int) -> list[Record]:
    """Cut images of one size, (h, w, 3) BGR uint8 with h and w at least ``tile``, in the same places.

    Returns:
        Records with keys ``KEY_s001`` and on, row by row.
    """
    height, width = images[0].shape[:2]
    corners = [(y, x) for y in tile_starts(height, tile, step) for x in tile_starts(width, tile, step)]
    return [
        Record(f"{key}_s{number:03d}", tuple(encode_png(image[y : y + tile, x : x + tile]) for image in images))
        for number, (y, x) in enumerate(corners, start=1)
    ]
