from __future__ import annotations

import numpy as np
import pytest

from uml_in_arch.data.kernels import kernel_centroid
from uml_in_arch.data.seeding import rng_for
from uml_in_arch.data.trajectory import PATH_LENGTH, camera_shake, trajectory_kernel


@pytest.mark.parametrize("size", [1, 3, 9, 31, 75])
@pytest.mark.parametrize("exposure", [0.01, 0.5, 1.0])
def test_kernel_keeps_its_promises(size: int, exposure: float) -> None:
    for draw in range(8):
        kernel = trajectory_kernel(rng_for(0, "kernel", draw), size, anxiety=0.004, exposure=exposure)
        assert kernel.dtype == np.float32
        assert kernel.shape[0] == kernel.shape[1] <= size
        assert kernel.shape[0] % 2 == 1
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        assert np.abs(kernel_centroid(kernel)).max() < 1e-4


def test_full_exposure_fills_the_size() -> None:
    sizes = {trajectory_kernel(rng_for(0, "kernel", draw), 21, 0.004, 1.0).shape[0] for draw in range(20)}
    assert sizes == {21}


def test_shorter_exposure_blurs_less() -> None:
    def spread(exposure: float) -> float:
        kernels = [trajectory_kernel(rng_for(0, "kernel", draw), 31, 0.001, exposure) for draw in range(20)]
        return float(np.mean([np.sqrt((k * (np.indices(k.shape) - k.shape[0] // 2) ** 2).sum()) for k in kernels]))

    assert spread(0.1) < 0.5 * spread(0.4) < 0.5 * spread(1.0)


def test_a_calm_hand_moves_in_a_straight_line() -> None:
    path = camera_shake(rng_for(1, "line"), anxiety=0)
    assert np.abs(path[-1]) == pytest.approx(PATH_LENGTH)
    assert np.abs(np.diff(path) - path[-1] / (len(path) - 1)).max() < 1e-9


def test_a_nervous_hand_stays_near_but_moves_as_fast() -> None:
    reach = []
    for anxiety in (0.0005, 0.005, 0.05):
        paths = [camera_shake(rng_for(1, "hand", draw), anxiety) for draw in range(10)]
        assert np.allclose(np.abs(np.diff(paths)), PATH_LENGTH / (len(paths[0]) - 1))
        reach.append(np.mean([np.abs(path - path.mean()).max() for path in paths]))
    assert reach[0] > 1.5 * reach[1] > 1.5 * reach[2]


def test_shakes_reverse_the_camera() -> None:
    turns = 0
    for draw in range(20):
        steps = np.diff(camera_shake(rng_for(5, "shake", draw), anxiety=0.02))
        turns += int((np.abs(np.angle(steps[1:] / steps[:-1])) > 2).sum())
    assert turns > 20
