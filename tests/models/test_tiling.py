"""Padding and tiles."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from uml_in_arch.models.tiling import restore


def blur(image):
    """A local network: a 3x3 mean, which reads one pixel around."""
    return nn.functional.avg_pool2d(nn.functional.pad(image, (1, 1, 1, 1), "replicate"), 3, stride=1)


@pytest.mark.parametrize("size", [(40, 100), (64, 64), (65, 33), (20, 20)])
def test_tiles_of_a_local_network_blend_to_the_whole(size):
    torch.manual_seed(0)
    image = torch.rand(1, 3, *size)
    seen = []

    def net(tile):
        seen.append(tile.shape[2:])
        return blur(tile)

    tiled = restore(net, image, tile=32, overlap=8)
    assert max(max(shape) for shape in seen) <= 32
    # only pixels at a tile's border see less than the whole picture, and the ramp gives them little weight
    assert (tiled - blur(image)).abs().mean() < 5e-3
    torch.testing.assert_close(restore(lambda tile: tile, image, tile=32, overlap=8), image)


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (1, 3)])
def test_pads_symmetrically_to_a_multiple_and_crops_back(size):
    image = torch.rand(1, 1, *size)

    def net(padded):
        assert padded.shape[2] % 8 == padded.shape[3] % 8 == 0
        torch.testing.assert_close(padded[..., : size[0], : size[1]], image)
        if size == (9, 15):
            torch.testing.assert_close(padded[..., 9:, :15], image.flip(2)[..., :7, :])
        return padded * 2

    torch.testing.assert_close(restore(net, image, multiple=8), image * 2)


def test_overlap_must_be_below_the_tile():
    with pytest.raises(ValueError, match="overlap must be"):
        restore(blur, torch.rand(1, 3, 64, 64), tile=32, overlap=32)
