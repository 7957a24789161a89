"""Restoring pictures of any size: padding for networks that need a multiple, overlapping tiles for small memories."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Restorer = Callable[[Tensor], Tensor]

# five levels of halving, and half a window of UMLINPlus's power spectra: a tile that starts here is cut into the same
# cells as the whole picture
_GRID = 32


def restore(net: Restorer, image: Tensor, *, tile: int | None = None, overlap: int = 32, multiple: int = 1) -> Tensor:
    """Run a network on a picture, whole or in tiles.

    Tiles overlap and are blended with weights that rise linearly over the overlap, so no seam shows.

    Args:
        net: maps (N, C, h, w) to the same shape, for h and w that are multiples of ``multiple``.
        image: (N, C, H, W).
        tile: largest side of the tiles in pixels; None restores the picture whole.
        overlap: least number of pixels shared by neighbouring tiles, less than ``tile``.
        multiple: the picture or tile is padded by symmetric reflection up to this multiple, and cropped back.

    Raises:
        ValueError: for an overlap that is negative or not smaller than the tile.
    """
    height, width = image.shape[2:]
    if tile is None or (height <= tile and width <= tile):
        return _padded(net, image, multiple)
    if not 0 <= overlap < tile:
        raise ValueError(f"the overlap must be at least 0 and below the tile's {tile} pixels, got {overlap}")
    total = torch.zeros_like(image)
    weights = image.new_zeros(1, 1, height, width)
    for rows in _spans(height, tile, overlap):
        for columns in _spans(width, tile, overlap):
            part = (..., rows, columns)
            restored = _padded(net, image[part], multiple)
            weight = _ramp(restored.shape[2], overlap, image)[:, None] * _ramp(restored.shape[3], overlap, image)
            total[part] += restored * weight
            weights[part] += weight
    return total / weights


def count_tiles(height: int, width: int, *, tile: int | None, overlap: int) -> int:
    """How often `restore` calls the network."""
    if tile is None:
        return 1
    return len(_spans(height, tile, overlap)) * len(_spans(width, tile, overlap))


def _spans(length: int, tile: int, overlap: int) -> list[slice]:
    """Tiles along one side: as few as the largest size allows, about equally long, starting on the grid."""
    if length <= tile:
        return [slice(0, length)]
    grid = _GRID if tile - overlap >= _GRID else 1
    count = -(-(length - overlap) // ((tile - overlap) // grid * grid))
    stride = -(-(length - overlap) // (count * grid)) * grid
    return [slice(start, min(start + stride + overlap, length)) for start in range(0, length - overlap, stride)]


def _ramp(length: int, overlap: int, like: Tensor) -> Tensor:
    """Blending weights along one side: up over the overlap, 1, down over the overlap; never 0."""
    position = torch.arange(1, length + 1, dtype=like.dtype, device=like.device)
    return torch.minimum(position, position.flip(0)).clamp_max(overlap + 1) / (overlap + 1)


def _padded(net: Restorer, image: Tensor, multiple: int) -> Tensor:
    height, width = image.shape[2:]
    rows, columns = _reflected(height, multiple, image), _reflected(width, multiple, image)
    if len(rows) == height and len(columns) == width:
        return net(image)
    return net(image[:, :, rows][:, :, :, columns])[:, :, :height, :width]


def _reflected(length: int, multiple: int, like: Tensor) -> Tensor:
    """Indices 0 .. length - 1, then backwards and forwards again up to the next multiple."""
    padded = -(-length // multiple) * multiple
    index = torch.arange(padded, device=like.device) % (2 * length)
    return torch.minimum(index, 2 * length - 1 - index)
