from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.metrics import mean_squared_error

import uml_in_arch.metrics  # noqa: F401  (registers)
from uml_in_arch.errors import DataError
from uml_in_arch.metrics import calculate_mse

from basicsr.metrics import calculate_metric, calculate_psnr


def noisy_coffee() -> tuple[np.ndarray, np.ndarray]:
    coffee = data.coffee()
    noise = np.random.default_rng(0).normal(0, 10, coffee.shape)
    return np.clip(coffee + noise, 0, 255).astype(np.uint8), coffee


def test_is_on_the_unit_range_and_agrees_with_psnr() -> None:
    noisy, coffee = noisy_coffee()
    mse = calculate_mse(noisy, coffee)
    assert mse == pytest.approx(mean_squared_error(noisy / 255, coffee / 255))
    assert -10 * np.log10(mse) == pytest.approx(calculate_psnr(noisy, coffee, crop_border=0))
    assert calculate_mse(coffee, coffee) == 0


def test_through_basicsr_with_its_best_metric_key() -> None:
    noisy, coffee = noisy_coffee()
    options = {"type": "calculate_mse", "crop_border": 4, "better": "lower"}
    expected = mean_squared_error(noisy[4:-4, 4:-4] / 255, coffee[4:-4, 4:-4] / 255)
    assert calculate_metric({"img": noisy, "img2": coffee}, options) == pytest.approx(expected)


def test_grey() -> None:
    black, grey = np.zeros((8, 9), dtype=np.uint8), np.full((8, 9), 51, dtype=np.uint8)
    assert calculate_mse(black, grey) == pytest.approx(0.04)


def test_typing_errors_are_not_swallowed() -> None:
    with pytest.raises(TypeError):
        calculate_metric({"img": data.coffee(), "img2": data.coffee()}, {"type": "calculate_mse", "crop_bordr": 4})


@pytest.mark.parametrize(
    ("img", "img2", "crop_border"),
    [
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8), 0),
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 3), np.float32), 0),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), 4),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), -1),
    ],
)
def test_pictures_that_cannot_be_compared(img: np.ndarray, img2: np.ndarray, crop_border: int) -> None:
    with pytest.raises(DataError):
        calculate_mse(img, img2, crop_border=crop_border)
