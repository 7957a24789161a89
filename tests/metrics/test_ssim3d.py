from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.ndimage
from skimage import data

from uml_in_arch.metrics import calculate_ssim3d

from basicsr.metrics import calculate_metric, calculate_ssim

PAIRS = Path(__file__).resolve().parents[3] / "shared" / "data" / "gopro_pairs" / "test"

# printed by NAFNet's own metric code on these files
NAFNET = {
    "GOPR0384_11_00-000001": 0.796312,
    "GOPR0384_11_00-000002": 0.825483,
    "GOPR0384_11_00-000004": 0.836971,
    "GOPR0384_11_00-000007": 0.934142,
    "GOPR0384_11_00-000014": 0.782213,
}


def volume_ssim(image: np.ndarray, image2: np.ndarray) -> float:
    """The definition, with SciPy's three-dimensional Gaussian."""

    def mean(volume: np.ndarray) -> np.ndarray:
        return scipy.ndimage.gaussian_filter(volume, sigma=1.5, mode="nearest", radius=5)

    x, y = np.atleast_3d(image).astype(np.float64), np.atleast_3d(image2).astype(np.float64)
    c1, c2 = 2.55**2, 7.65**2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return float(((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def blurry(image: np.ndarray) -> np.ndarray:
    return cv2.blur(image, (9, 1))


@pytest.mark.parametrize("image", [data.coffee(), data.astronaut()[:97, :51], data.camera(), data.coffee()[:6, :7]])
def test_is_the_definition_in_three_dimensions(image: np.ndarray) -> None:
    assert calculate_ssim3d(image, blurry(image)) == pytest.approx(volume_ssim(image, blurry(image)), abs=1e-9)


def test_equal_pictures_and_borders() -> None:
    coffee = data.coffee()
    assert calculate_ssim3d(coffee, coffee) == pytest.approx(1)
    framed = coffee.copy()
    framed[:3] = framed[-3:] = framed[:, :3] = framed[:, -3:] = 0
    assert calculate_ssim3d(coffee, framed, crop_border=3) == pytest.approx(1)


def test_is_not_the_other_convention() -> None:
    data_pair = {"img": blurry(data.coffee()), "img2": data.coffee()}
    ours = calculate_metric(data_pair, {"type": "calculate_ssim3d", "crop_border": 0, "better": "higher"})
    assert ours > calculate_ssim(**data_pair, crop_border=0) + 0.02


@pytest.mark.skipif(not PAIRS.is_dir(), reason="no shared data here")
@pytest.mark.parametrize("name", NAFNET)
def test_equals_nafnet_on_real_pairs(name: str) -> None:
    blur, sharp = (cv2.imread(str(PAIRS / kind / f"{name}.png")) for kind in ("blur", "sharp"))
    assert calculate_ssim3d(blur, sharp) == pytest.approx(NAFNET[name], abs=1e-4)
