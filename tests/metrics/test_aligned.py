from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from uml_in_arch.data.kernels import centre_kernel, kernel_centroid, load_kernels
from uml_in_arch.errors import DataError
from uml_in_arch.metrics import calculate_psnr_aligned, calculate_ssim_aligned

from basicsr.metrics import calculate_metric, calculate_psnr, calculate_ssim

LAI = Path(__file__).resolve().parents[3] / "shared" / "data" / "lai2016" / "uniform"


def shifted(image: np.ndarray, down: float, right: float) -> np.ndarray:
    matrix = np.array([[1, 0, right], [0, 1, down]], dtype=np.float32)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_LINEAR)


def smooth_coffee() -> np.ndarray:
    return cv2.GaussianBlur(data.coffee(), (0, 0), 3)


@pytest.mark.parametrize("shift", [(0, 0), (5, -9), (-16, 16), (1, 0)])
def test_whole_shifts_are_undone(shift: tuple[int, int]) -> None:
    for image in (data.coffee(), data.camera()):
        assert calculate_psnr_aligned(shifted(image, *shift), image) == math.inf
        assert calculate_ssim_aligned(shifted(image, *shift), image) == pytest.approx(1)


@pytest.mark.parametrize("shift", [(0.5, 0), (3.25, -6.75), (-7.5, 2.25)])
def test_quarter_pixels_are_undone(shift: tuple[float, float]) -> None:
    image = smooth_coffee()
    moved = shifted(image, *shift)
    assert calculate_psnr(moved, image, crop_border=0) < 40
    assert calculate_psnr_aligned(moved, image) > 47
    assert calculate_ssim_aligned(moved, image) > 0.995


def test_a_shift_beyond_the_range_stays() -> None:
    moved = shifted(data.coffee(), 0, 9)
    assert calculate_psnr_aligned(moved, data.coffee(), max_shift=9) == math.inf
    assert calculate_psnr_aligned(moved, data.coffee(), max_shift=8) < 30
    assert calculate_psnr_aligned(moved, data.coffee(), max_shift=0) < 20


def test_without_a_shift_it_is_the_plain_metric_of_the_inside() -> None:
    sharp, blurry = data.coffee(), cv2.blur(data.coffee(), (9, 9))
    inside = np.s_[4:-4, 4:-4]
    options = {"max_shift": 3, "better": "higher"}
    pair = {"img": blurry, "img2": sharp}
    psnr = calculate_metric(pair, {"type": "calculate_psnr_aligned", **options})
    ssim = calculate_metric(pair, {"type": "calculate_ssim_aligned", **options})
    assert psnr == pytest.approx(calculate_psnr(blurry[inside], sharp[inside], crop_border=0))
    assert ssim == pytest.approx(calculate_ssim(blurry[inside], sharp[inside], crop_border=0))


def test_borders_do_not_count() -> None:
    framed = data.coffee().copy()
    framed[:7] = framed[-7:] = framed[:, :7] = framed[:, -7:] = 0
    assert calculate_psnr_aligned(framed, data.coffee(), crop_border=3, max_shift=3) == math.inf


@pytest.mark.parametrize(("size", "max_shift"), [((44, 60), 16), ((60, 60), -1)])
def test_impossible_range(size: tuple[int, int], max_shift: int) -> None:
    image = data.coffee()[: size[0], : size[1]]
    with pytest.raises(DataError, match="max_shift"):
        calculate_psnr_aligned(image, image, max_shift=max_shift)


@pytest.mark.skipif(not LAI.is_dir(), reason="no shared data here")
def test_lai_2016_off_centre_kernel() -> None:
    """A blur by the centred kernel, moved as Lai's kernel moves it, scores as if it had not been moved."""
    kernel = load_kernels(LAI / "kernels" / "kernel_01.png")[0]
    assert max(map(abs, kernel_centroid(kernel))) > 1
    sharp = cv2.imread(str(LAI / "sharp" / "people_05.png"))
    as_published = cv2.filter2D(sharp, -1, kernel)
    centred = cv2.filter2D(sharp, -1, centre_kernel(kernel))
    plain = calculate_psnr(as_published[17:-17, 17:-17], sharp[17:-17, 17:-17], crop_border=0)
    aligned = calculate_psnr_aligned(as_published, sharp)
    assert aligned > plain + 0.5
    assert aligned == pytest.approx(calculate_psnr_aligned(centred, sharp), abs=1e-4)
