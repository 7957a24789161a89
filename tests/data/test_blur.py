from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.ndimage
from skimage import data

from uml_in_arch.data.blur import MAX_SPATIAL_TAPS, MotionBlur, correlate
from uml_in_arch.data.kernels import load_kernels
from uml_in_arch.data.seeding import rng_for
from uml_in_arch.errors import DataError, OptionError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LAI = SHARED / "lai2016" / "uniform"
SCIPY_BOUNDARIES = {"reflect": "mirror", "replicate": "nearest"}


def psnr(image: np.ndarray, image2: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((image.astype(float) - image2.astype(float)) ** 2)))


def kernel_with_taps(shape: tuple[int, int], taps: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    kernel = np.zeros(shape[0] * shape[1], dtype=np.float32)
    kernel[rng.permutation(kernel.size)[:taps]] = rng.random(taps)
    return kernel.reshape(shape) / kernel.sum()


def dot(height: int = 41, width: int = 41, value: int = 255) -> np.ndarray:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[height // 2, width // 2] = value
    return image


@pytest.mark.parametrize("boundary", ["reflect", "replicate"])
@pytest.mark.parametrize("taps", [1, MAX_SPATIAL_TAPS, MAX_SPATIAL_TAPS + 1])
@pytest.mark.parametrize(("shape", "size"), [((13, 35), (40, 50)), ((35, 13), (64, 31)), ((41, 41), (12, 16))])
def test_correlation_both_ways(boundary: str, taps: int, shape: tuple[int, int], size: tuple[int, int]) -> None:
    """Against SciPy, with kernels that are not symmetric, also larger than the picture."""
    image = np.random.default_rng(1).random((*size, 3), dtype=np.float32)
    kernel = kernel_with_taps(shape, taps)
    expected = scipy.ndimage.correlate(image, kernel[..., None], mode=SCIPY_BOUNDARIES[boundary])
    result = correlate(image, kernel, boundary)
    assert result.shape == image.shape
    assert np.abs(result - expected).max() < 1e-5


@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type_stay(channels: int) -> None:
    image = data.camera()[:70, :90, None].repeat(channels, axis=2)
    blurry = MotionBlur(space="linear", noise=(1, 2), saturation=(0, 1)).apply(image, rng_for(0, "camera"))
    assert blurry.shape == image.shape
    assert blurry.dtype == np.uint8


@pytest.mark.parametrize("space", ["gamma", "linear"])
@pytest.mark.parametrize("boundary", ["reflect", "replicate"])
def test_no_dark_edges(space: str, boundary: str) -> None:
    for value in (0, 1, 100, 255):
        image = np.full((50, 60, 3), value, dtype=np.uint8)
        for draw in range(3):
            blurry = MotionBlur(kernel_size=(9, 75), space=space, boundary=boundary).apply(image, rng_for(0, "", draw))
            assert np.array_equal(blurry, image)


def test_same_state_same_pixels_and_other_draws_differ() -> None:
    blur = MotionBlur(noise=(1, 5), saturation=(0.5, 1), space="linear")
    first, again, other = (blur.apply(data.coffee(), rng_for(0, "coffee", draw)) for draw in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_blur_is_blur() -> None:
    blurry = MotionBlur().apply(data.coffee(), rng_for(0, "coffee"))
    assert 18 < psnr(data.coffee(), blurry) < 30
    assert blurry.mean() == pytest.approx(data.coffee().mean(), abs=0.5)


def test_linear_light_is_brighter_where_black_meets_white() -> None:
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[:, 20:] = 255
    halves = (np.array([[0.5, 0.5, 0]], dtype=np.float32),)
    levels = {
        s: MotionBlur(kernels=halves, centre_kernels=False, space=s).apply(image, rng_for(0, ""))[20, 20, 0]
        for s in ("gamma", "linear")
    }
    assert levels == {"gamma": 128, "linear": 188}


def test_saturation_leaves_brighter_streaks_and_clips() -> None:
    streak = (np.full((1, 5), 0.2, dtype=np.float32),)
    plain = MotionBlur(kernels=streak).apply(dot(), rng_for(0, ""))
    bright = MotionBlur(kernels=streak, saturation=(1, 1)).apply(dot(), rng_for(0, ""))
    clipped = MotionBlur(kernels=streak, saturation=(9, 9)).apply(dot(), rng_for(0, ""))
    unsaturated = MotionBlur(kernels=streak, saturation=(1, 1)).apply(dot(value=254), rng_for(0, ""))
    assert [picture[20, 18:23].max() for picture in (plain, bright, clipped, unsaturated)] == [51, 102, 255, 51]


def test_noise_has_the_stated_deviation() -> None:
    image = np.full((200, 200, 3), 128, dtype=np.uint8)
    noisy = MotionBlur(noise=(4, 4)).apply(image, rng_for(0, "noise"))
    assert noisy.std() == pytest.approx(4, rel=0.05)
    assert noisy.mean() == pytest.approx(128, abs=0.1)


def test_given_kernels_are_all_used_and_centred(tmp_path: Path) -> None:
    kernels = np.zeros((2, 5, 5))
    kernels[0, 0, 0] = kernels[1, 4, 1] = 1
    np.save(tmp_path / "two.npy", kernels)
    as_given = MotionBlur(kernels=str(tmp_path / "two.npy"), centre_kernels=False)
    moved = {tuple(np.argwhere(as_given.apply(dot(), rng_for(0, "", draw))[..., 0])[0]) for draw in range(20)}
    assert moved == {(22, 22), (18, 21)}  # correlation moves against the kernel's offset
    centred = MotionBlur(kernels=str(tmp_path / "two.npy"))
    assert all(np.array_equal(centred.apply(dot(), rng_for(0, "", draw)), dot()) for draw in range(20))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": (8, 10)}, "odd"),
        ({"kernel_size": (31, 9)}, "kernel_size"),
        ({"kernel_size": (-3, 9)}, "kernel_size"),
        ({"anxiety": (0, 2)}, "anxiety"),
        ({"exposure": (0, 1)}, "exposure"),
        ({"noise": (-1, 1)}, "noise"),
        ({"saturation": (1, float("nan"))}, "saturation"),
        ({"space": "log"}, "gamma, linear"),
        ({"boundary": "zero"}, "reflect, replicate"),
        ({"kernels": ()}, "empty"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        MotionBlur(**settings)


def test_only_8_bit_pictures() -> None:
    for image in (np.zeros((9, 9, 3), dtype=np.float32), np.zeros((9, 9), dtype=np.uint8)):
        with pytest.raises(DataError, match="uint8"):
            MotionBlur().apply(image, rng_for(0, ""))


@pytest.mark.skipif(not LAI.is_dir(), reason="no shared data here")
@pytest.mark.parametrize("scene", ["manmade", "natural", "people", "text"])
def test_lai_2016_is_reproduced(scene: str) -> None:
    sharp = cv2.imread(str(LAI / "sharp" / f"{scene}_05.png"))
    published = cv2.imread(str(LAI / "blur" / f"{scene}_05_kernel_01.png"))
    kernels = tuple(load_kernels(LAI / "kernels" / "kernel_01.png"))
    blurry = MotionBlur(kernels=kernels, centre_kernels=False).apply(sharp, rng_for(0, scene))
    assert psnr(blurry, published) > 40
    inside = np.s_[16:-16, 16:-16]
    assert psnr(blurry[inside], published[inside]) > 44
