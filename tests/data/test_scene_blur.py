from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

import uml_in_arch.data.registered  # noqa: F401  (registers)
from uml_in_arch.data.blur import correlate
from uml_in_arch.data.camera_path import STEPS, displacements, motion, scale_to, shaken_path, smooth_path
from uml_in_arch.data.exposure import Layer, Window, exposed
from uml_in_arch.data.outlines import draw_cover, random_outline
from uml_in_arch.data.scene_blur import SceneBlur
from uml_in_arch.data.seeding import rng_for
from uml_in_arch.errors import DataError, OptionError

from basicsr.data import build_dataset

COFFEE = data.coffee()[150:310, 200:400]
SHIFT_ONLY: dict[str, Any] = {"rotation": (0, 0), "zoom": (0, 0), "perspective": (0, 0), "things_share": 0, "still": 0}
MOTIONLESS: dict[str, Any] = {"extent": (0, 0), "still": 0, "things_share": 0}


def psnr(image: np.ndarray, image2: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((image.astype(float) - image2.astype(float)) ** 2)))


def opaque(image: np.ndarray) -> np.ndarray:
    light = (image / 255).astype(np.float32)
    return np.concatenate([light, np.ones_like(light[..., :1])], axis=2)


@pytest.mark.parametrize("changes", [{}, {"things_share": 1}, {"things_share": 1, "saturation": (1, 1)}])
def test_without_motion_nothing_changes(changes: dict[str, Any]) -> None:
    for draw in range(6):
        sharp, blurry = SceneBlur(**{**MOTIONLESS, **changes}).apply(COFFEE, rng_for(0, "", draw))
        assert np.array_equal(sharp, blurry)
        assert changes or np.array_equal(sharp, COFFEE)


def test_sharp_picture_stays_unless_something_is_pasted() -> None:
    own, pasted = SceneBlur(things_share=1, pasted_share=0), SceneBlur(things_share=1, pasted_share=1, still=0)
    for draw in range(5):
        assert np.array_equal(own.apply(COFFEE, rng_for(0, "", draw))[0], COFFEE)
    covered = np.mean([(pasted.apply(COFFEE, rng_for(0, "", draw))[0] != COFFEE).any(axis=2) for draw in range(10)])
    assert 0.1 < covered < 0.8


def test_brightness_stays_and_blur_is_blur() -> None:
    blur = SceneBlur(extent=(10, 20), linear_share=0, still=0, things_share=0, sharp_at="mean")
    for draw in range(5):
        sharp, blurry = blur.apply(COFFEE, rng_for(0, "", draw))
        assert blurry.shape == COFFEE.shape
        assert blurry.dtype == np.uint8
        assert blurry.mean() == pytest.approx(sharp.mean(), abs=2)
        assert 15 < psnr(sharp, blurry) < 32


def test_no_dark_edges() -> None:
    for value in (0, 100, 255):
        image = np.full((50, 60, 3), value, dtype=np.uint8)
        for draw in range(5):
            _, blurry = SceneBlur(things_share=1, still=0).apply(image, rng_for(0, "", draw))
            assert np.abs(blurry.astype(int) - value).max() <= 1


def test_same_state_same_pixels_and_other_draws_differ() -> None:
    blur = SceneBlur(noise=(1, 3), shot=(0, 2), jpeg_share=0.5, things_share=1, saturation=(0, 1), still=0)
    first, again, other = (np.stack(blur.apply(COFFEE, rng_for(0, "", draw))) for draw in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_translation_is_correlation_with_one_centred_kernel() -> None:
    shift, zero = 15 * shaken_path(np.random.default_rng(3), 0.004, 0.8, 1), np.zeros(STEPS)
    moving = motion(shift, zero, zero, zero.astype(complex), (0, 0), 1)
    dot = np.zeros((81, 81, 3), dtype=np.uint8)
    dot[40, 40] = 255
    kernel = exposed(Layer(opaque(dot), 0, 0, moving, 16), [], Window(0, 0, 81, 81))[1][::-1, ::-1, 0].copy()
    rows, columns = np.nonzero(kernel > 1e-4)
    assert kernel.sum() == pytest.approx(1, abs=1e-4)
    assert 15 <= max(np.ptp(rows), np.ptp(columns)) <= 18
    for axis in (0, 1):
        assert kernel.sum(axis=1 - axis) @ (np.arange(81) - 40) == pytest.approx(0, abs=1e-3)
    seen = exposed(Layer(opaque(COFFEE), 0, 0, moving, 16), [], Window(0, 0, 160, 200))[1]
    expected = correlate((COFFEE / 255).astype(np.float32), kernel, "reflect")
    assert psnr(255 * seen[20:-20, 20:-20], 255 * expected[20:-20, 20:-20]) > 45


def test_extent_is_the_longest_streak_and_no_pose_is_preferred() -> None:
    rng, corners = np.random.default_rng(0), Window(0, 0, 100, 200).corners
    for _ in range(5):
        courses = (shaken_path(rng, 0.003, 1, 2), smooth_path(rng), smooth_path(rng), 1j * smooth_path(rng))
        moving = scale_to(motion(*courses, centre=(30, 120), radius=110), corners, 12)
        moved = displacements(moving, corners)
        assert np.ptp(moved, axis=0).max() == pytest.approx(12)
        assert np.abs(moved.mean(axis=0)).max() < 1e-9


def test_sharp_picture_is_the_middle_of_the_exposure_or_the_mean_pose() -> None:
    """A dot that mostly rests and then jumps: blur leaves it where it is in the middle, but shifts its centroid."""
    dot = np.zeros((61, 61, 3), dtype=np.uint8)
    dot[28:33, 28:33] = 255
    apart = {}
    for sharp_at in ("middle", "mean"):
        blur = SceneBlur(**SHIFT_ONLY, extent=(20, 20), unevenness=(6, 6), linear_share=0, sharp_at=sharp_at)
        blurry = [blur.apply(dot, rng_for(0, "", draw))[1][..., 0].astype(float) for draw in range(12)]
        centroids = [np.array([(b.sum(1) @ np.arange(61)), (b.sum(0) @ np.arange(61))]) / b.sum() - 30 for b in blurry]
        apart[sharp_at] = np.mean([np.hypot(*centroid) for centroid in centroids])
        if sharp_at == "middle":
            assert np.mean([b[30, 30] for b in blurry]) > 100
    assert apart["mean"] < 0.3
    assert apart["middle"] > 1.5


def test_rotation_blurs_borders_more_than_the_middle() -> None:
    image = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    zero, turn = np.zeros(STEPS), np.linspace(-6, 6, STEPS)
    turning = motion(zero + 0j, turn, zero, zero + 0j, centre=(79.5, 79.5), radius=113)
    _, blurry = exposed(Layer(opaque(image), 0, 0, turning, 8), [], Window(0, 0, 160, 160))
    middle, *corners = (blurry[part].std() for part in (np.s_[70:90, 70:90], *CORNERS))
    assert middle > 2 * max(corners)
    assert blurry[79:81, 79:81] == pytest.approx(image[79:81, 79:81] / 255, abs=0.1)


CORNERS = [(rows, columns) for rows in (slice(40), slice(-40, None)) for columns in (slice(40), slice(-40, None))]


def test_extent_orders_the_strength_and_weak_blur_is_frequent() -> None:
    scores = [
        np.mean([psnr(*SceneBlur(extent=(e, e), still=0).apply(COFFEE, rng_for(0, "", d))) for d in range(4)])
        for e in (2, 8, 30)
    ]
    assert scores == sorted(scores, reverse=True)
    strengths = [psnr(*SceneBlur(**SHIFT_ONLY).apply(COFFEE, rng_for(0, "", draw))) for draw in range(30)]
    assert sum(strength > 30 for strength in strengths) >= 4


def test_share_of_still_pictures() -> None:
    image = COFFEE[:40, :40]
    still = [np.array_equal(*SceneBlur(still=0.5, extent=(8, 9)).apply(image, rng_for(0, "", d))) for d in range(80)]
    assert 25 <= sum(still) <= 55


def test_pictures_out_of_focus_are_so_in_both() -> None:
    blur = SceneBlur(**{**MOTIONLESS, "defocus_share": 0.5, "defocus": (3, 3)})
    changed = 0
    for draw in range(100):
        sharp, blurry = blur.apply(COFFEE, rng_for(0, "", draw))
        assert np.array_equal(sharp, blurry)
        changed += not np.array_equal(sharp, COFFEE)
    assert 35 < changed < 65
    point = np.zeros((21, 21, 3), np.uint8)
    point[10, 10] = 255
    disc = SceneBlur(**{**MOTIONLESS, "defocus_share": 1, "defocus": (3, 3)}).apply(point, rng_for(0, "", 0))[0][..., 0]
    rows, columns = np.nonzero(disc)
    assert np.hypot(rows - 10, columns - 10).max() < 3.5
    assert disc.sum(dtype=int) == pytest.approx(255, rel=0.1)
    assert disc[10, 10] == disc[8, 10] == disc[10, 12] == pytest.approx(255 / (np.pi * 3**2), abs=2)


def test_light_hidden_by_clipping_leaves_brighter_streaks() -> None:
    image = np.zeros((61, 61, 3), dtype=np.uint8)
    image[29:32, 29:32] = 255
    blurs = [SceneBlur(**SHIFT_ONLY, extent=(20, 20), linear_share=0, saturation=(s, s)) for s in (0, 1)]
    plain, bright = (blur.apply(image, rng_for(0, ""))[1].astype(int).sum() for blur in blurs)
    assert bright == pytest.approx(2 * plain, rel=0.02)


def test_linear_light_is_brighter_where_black_meets_white() -> None:
    image = np.zeros((60, 60, 3), dtype=np.uint8)
    image[:, 30:] = 255
    gamma, linear = (
        SceneBlur(**SHIFT_ONLY, extent=(20, 20), linear_share=share).apply(image, rng_for(0, ""))[1].mean()
        for share in (0, 1)
    )
    assert linear > gamma + 3


def test_noise_has_the_stated_deviation() -> None:
    for value, noise, shot, expected in ((128, 4, 0, 4), (200, 0, 5, 5 * (200 / 255) ** 0.5), (128, 3, 5, 4.64)):
        image = np.full((150, 150, 3), value, dtype=np.uint8)
        _, noisy = SceneBlur(**MOTIONLESS, noise=(noise, noise), shot=(shot, shot)).apply(image, rng_for(0, "n"))
        assert noisy.std() == pytest.approx(expected, rel=0.05)


def test_jpeg_has_its_share_and_its_quality() -> None:
    def scores(**settings: Any) -> list[float]:
        blur = SceneBlur(**MOTIONLESS, **settings)
        pairs = [blur.apply(COFFEE, rng_for(0, "", draw)) for draw in range(20)]
        return [np.inf if np.array_equal(*pair) else psnr(*pair) for pair in pairs]

    coarse, fine = scores(jpeg_share=1, jpeg_quality=(20, 20)), scores(jpeg_share=1, jpeg_quality=(95, 95))
    assert max(coarse) < 36 < min(fine) < 60
    assert 4 <= np.isinf(scores(jpeg_share=0.5)).sum() <= 16


def test_what_lies_around_a_window_moves_into_it() -> None:
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    image[:, :40] = image[:, 60:] = image[:40] = image[60:] = 255
    sharp, blurry = SceneBlur(**SHIFT_ONLY, extent=(16, 16)).apply(image, rng_for(0, ""), Window(40, 40, 20, 20))
    assert sharp.max() == 0
    assert blurry.max() > 50


def test_things_move_by_themselves() -> None:
    """Parts of the picture stay sharp, others don't, where one thing moves before a camera that stands."""
    zero = np.zeros(STEPS)
    still, right = (motion(s * np.linspace(-9, 9, STEPS) + 0j, zero, zero, zero + 0j, (0, 0), 1) for s in (0, 1))
    cover = draw_cover(random_outline(np.random.default_rng(0), 3000) + (100, 80), 160, 200, 0.6)[..., None]
    thing = Layer(opaque(COFFEE) * cover, 0, 0, right, 12)
    sharp, blurry = exposed(Layer(opaque(COFFEE), 0, 0, still, 2), [thing], Window(0, 0, 160, 200))
    assert np.abs(255 * sharp - COFFEE).max() < 0.01
    changed = np.abs(sharp - blurry).max(axis=2) > 1e-3
    assert 0.05 < changed.mean() < 0.4
    assert not changed[(cover[..., 0] == 0) & (np.abs(np.arange(200) - 100) > 95)].any()


def test_outlines_have_the_stated_area() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        cover = draw_cover(random_outline(rng, 2000) + (150, 150), 300, 300, 0.5)
        assert cover.sum() == pytest.approx(2000, rel=0.1)  # cv2 draws outlines half a pixel larger
        assert 0 <= cover.min() < cover.max() == pytest.approx(1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extent": (5, 2)}, "scene extent"),
        ({"extent": (-1, 2)}, "scene extent"),
        ({"noise": (0, float("nan"))}, "scene noise"),
        ({"exposure": (0, 1)}, "scene exposure"),
        ({"things": (0, 2)}, "scene things"),
        ({"thing_area": (0.1, 2)}, "scene thing_area"),
        ({"jpeg_quality": (0, 90)}, "scene jpeg_quality"),
        ({"still": 1.5}, "scene still is 1.5: give a share from 0 to 1"),
        ({"linear_share": -1}, "scene linear_share"),
    ],
)
def test_impossible_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as error:
        SceneBlur(**settings)
    assert "\n" not in str(error.value)


def test_only_8_bit_colour_pictures() -> None:
    for image in (np.zeros((9, 9, 3), np.float32), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 1), np.uint8)):
        with pytest.raises(DataError, match=r"uint8, \(H, W, 3\)"):
            SceneBlur().apply(image, rng_for(0, ""))


def build(**changes: Any) -> Any:
    options = {"name": "demo", "type": "SyntheticBlurDataset", "phase": "train", "photographs": ["coffee", "chelsea"]}
    scene = {"extent": [0, 20], "noise": [0, 2], "things_share": 0.5, "jpeg_share": 0.3}
    return build_dataset({**options, "gt_size": 64, "draws_per_image": 4, "scene": scene, **changes})


def test_data_set_trains_on_crops() -> None:
    samples, again = list(build()), list(build())
    assert len(samples) == 8
    for sample, same in zip(samples, again, strict=True):
        assert sample["lq"].shape == sample["gt"].shape == (3, 64, 64)
        assert torch.equal(sample["lq"], same["lq"])
        assert torch.equal(sample["gt"], same["gt"])
    assert any(not torch.equal(sample["lq"], sample["gt"]) for sample in samples)


def test_data_set_validates_on_whole_pictures() -> None:
    dataset = build(phase="val", photographs=["coffee"])
    assert len(dataset) == 1
    first, again = dataset[0], dataset[0]
    assert first["gt"].shape == first["lq"].shape == (3, 400, 600)
    assert torch.equal(first["lq"], again["lq"])
    assert not torch.equal(first["lq"], first["gt"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blur": {"kernel_size": [9, 9]}}, "either blur or scene"),
        ({"scene": {"extend": [0, 3]}}, "scene.extend"),
        ({"scene": {"extent": [9, 3]}}, "scene extent"),
        ({"scene": {"things": 2}}, "scene.things"),
    ],
)
def test_data_set_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(**changes)
