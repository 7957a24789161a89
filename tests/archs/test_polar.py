"""Cells of direction and frequency: every bin belongs to its cells, means are means, directions are one circle."""

from __future__ import annotations

import math

import pytest
import torch

from uml_in_arch.archs.polar import DirectionBlock, PolarGrid

ANGLES, RADII, WINDOW = 8, 7, 16


@pytest.fixture(scope="module")
def grid():
    return PolarGrid(WINDOW, ANGLES, RADII)


def frequencies():
    return torch.fft.fftfreq(WINDOW)[:, None], torch.fft.rfftfreq(WINDOW)[None]


def test_a_flat_spectrum_stays_flat_both_ways(grid):
    pooled = grid.pool(torch.full((WINDOW * (WINDOW // 2 + 1), 2), 3.0))
    filled = pooled[:, 0] != 0
    torch.testing.assert_close(pooled[filled], torch.full_like(pooled[filled], 3.0))
    spread = grid.spread(torch.full((ANGLES * RADII, 2), 3.0))
    torch.testing.assert_close(spread, torch.full_like(spread, 3.0))


def test_frequency_is_interpolated_linearly_up_to_nyquist(grid):
    cells = torch.linspace(0, 0.5, RADII).repeat(ANGLES)[:, None]
    expected = torch.hypot(*frequencies()).clamp(max=0.5).view(-1, 1)
    torch.testing.assert_close(grid.spread(cells), expected)


@pytest.mark.parametrize("turn", range(ANGLES))
def test_directions_are_modulo_pi(grid, turn):
    """A cell's bins lie within one step of its direction, on either side of the origin."""
    cells = torch.zeros(ANGLES, RADII)
    cells[turn] = 1
    of_bin = grid.spread(cells.view(-1, 1)).flatten()
    down, right = frequencies()
    angle = torch.atan2(down, right).flatten()
    distance = (angle - turn * math.pi / ANGLES + math.pi / 2) % math.pi - math.pi / 2
    reached = of_bin > 1e-6
    reached[0] = False  # the mean has no direction
    assert reached.any()
    assert distance[reached].abs().max() < math.pi / ANGLES
    assert (of_bin[1:][distance[1:].abs() < 1e-6] > 1 - 1e-5).all()


def test_pooling_is_the_weighted_mean_that_spreading_defines(grid):
    torch.manual_seed(0)
    matrix = grid.spread(torch.eye(ANGLES * RADII))
    spectrum = torch.rand(len(matrix), 3)
    expected = (matrix.T @ spectrum) / matrix.sum(0)[:, None].clamp(min=1e-6)
    torch.testing.assert_close(grid.pool(spectrum), expected)


def test_both_have_gradients(grid):
    spectrum = torch.rand(WINDOW * (WINDOW // 2 + 1), 1, requires_grad=True)
    grid.spread(grid.pool(spectrum)).square().sum().backward()
    assert (spectrum.grad != 0).all()


def test_a_block_treats_all_directions_alike():
    torch.manual_seed(0)
    block = DirectionBlock(5)
    x = torch.rand(2, 5, ANGLES)
    turned = block(x.roll(3, dims=2))
    torch.testing.assert_close(turned, block(x).roll(3, dims=2))
