from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from torch.utils.data import DataLoader

import uml_in_arch.data.registered  # noqa: F401  (registers)
from uml_in_arch.cli import one_line
from uml_in_arch.data.blur import MotionBlur
from uml_in_arch.data.photographs import PHOTOGRAPHS, load_photograph
from uml_in_arch.data.seeding import rng_for
from uml_in_arch.errors import DataError, OptionError

from basicsr.data import build_dataset
from basicsr.utils.lmdb_util import make_lmdb_from_imgs

DEMO = {
    "name": "demo",
    "type": "SyntheticBlurDataset",
    "phase": "train",
    "photographs": ["astronaut", "chelsea"],
    "gt_size": 48,
    "draws_per_image": 6,
    "blur": {"kernel_size": [9, 21], "noise": [0, 2]},
}


def build(**changes: Any) -> Any:
    return build_dataset({key: value for key, value in {**DEMO, **changes}.items() if value is not None})


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def coffee_crop(height: int = 96, width: int = 80) -> np.ndarray:
    return data.coffee()[200 : 200 + height, 300 : 300 + width]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, one of them in a subfolder."""
    for number, name in enumerate(("b/one.png", "two.png", "c.d.png")):
        write(tmp_path / "sharp" / name, coffee_crop(96 + number)[..., ::-1])
    return tmp_path / "sharp"


@pytest.fixture
def lmdb(folder: Path) -> Path:
    """The flat part of the folder as BasicSR itself makes an LMDB."""
    target = folder.parent / "sharp.lmdb"
    make_lmdb_from_imgs(str(folder), str(target), ["two.png", "b/one.png"], ["two", "b/one"])
    return target


def all_pixels(dataset: Any, **loader: Any) -> torch.Tensor:
    batches = list(DataLoader(dataset, batch_size=4, **loader))
    return torch.cat([torch.cat([batch["lq"], batch["gt"]], dim=1) for batch in batches])


def test_sample_is_what_basicsr_expects() -> None:
    dataset = build()
    assert len(dataset) == 12
    sample = dataset[3]
    assert sample["lq_path"] == sample["gt_path"] == "chelsea"
    for key in ("lq", "gt"):
        assert sample[key].dtype == torch.float32
        assert sample[key].shape == (3, 48, 48)
        assert 0 <= sample[key].min() < sample[key].max() <= 1
        assert torch.allclose(sample[key] * 255, (sample[key] * 255).round(), atol=1e-4)
    with pytest.raises(IndexError):
        dataset[12]


def test_pixels_do_not_depend_on_workers_or_order() -> None:
    dataset = build()
    alone = all_pixels(dataset)
    assert torch.equal(all_pixels(build(), num_workers=2), alone)
    backwards = [build()[index] for index in reversed(range(12))]
    assert torch.equal(torch.stack([sample["gt"] for sample in reversed(backwards)]), alone[:, 3:])


def test_draws_differ_in_crop_and_blur() -> None:
    dataset = build(photographs=["coffee"], draws_per_image=8)
    crops = [dataset[index]["gt"] for index in range(8)]
    assert all(not torch.equal(crops[0], other) for other in crops[1:])
    assert not torch.equal(all_pixels(build(seed=0)), all_pixels(build(seed=1)))


@pytest.mark.parametrize("boundary", ["reflect", "replicate"])
def test_crop_equals_blurring_the_whole_picture(folder: Path, boundary: str) -> None:
    """So the margin is enough inside, and edges of crops at the picture's edge are the picture's."""
    blur = {"kernel_size": [15, 31], "boundary": boundary}
    still = {"use_hflip": False, "use_rot": False, "photographs": None, "dataroot_gt": str(folder), "blur": blur}
    dataset = build(**still, draws_per_image=10)
    touched_edge = False
    for index in range(len(dataset)):
        sample = dataset[index]
        key = dataset.pictures.keys[index % 3]
        picture = dataset.pictures.read(key)
        gt = (sample["gt"].numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)
        where = cv2.matchTemplate(picture, gt, cv2.TM_SQDIFF)
        top, left = np.unravel_index(where.argmin(), where.shape)
        assert np.array_equal(picture[top : top + 48, left : left + 48], gt)
        touched_edge |= bool(min(top, left, picture.shape[0] - 48 - top, picture.shape[1] - 48 - left) == 0)

        rng = rng_for(0, key, index // 3)
        rng.integers(picture.shape[0] - 47), rng.integers(picture.shape[1] - 47), rng.random(3)
        settings = MotionBlur(kernel_size=(15, 31), boundary=boundary)
        whole = settings.degrade(picture, settings.draw_kernel(rng), rng)[top : top + 48, left : left + 48]
        difference = np.abs(sample["lq"].numpy().transpose(1, 2, 0) * 255 - whole)
        assert difference.max() <= 1.001  # a level where the FFT rounds differently
        assert difference.mean() < 0.01
    assert touched_edge


def test_flips_turn_both_pictures_alike() -> None:
    identity = {"kernel_size": [1, 1]}
    dataset = build(blur=identity, draws_per_image=16, photographs=["chelsea"])
    assert all(torch.equal(sample["lq"], sample["gt"]) for sample in dataset)
    still = build(blur=identity, draws_per_image=16, photographs=["chelsea"], use_hflip=False, use_rot=False)
    seen = set()
    for turned, upright in zip(dataset, still, strict=True):
        a, b = turned["gt"], upright["gt"]
        variants = [b, b.flip(2), b.flip(1), b.flip(1, 2)]
        seen.update(number for number, v in enumerate([*variants, *[v.mT for v in variants]]) if torch.equal(a, v))
    assert len(seen) >= 6


@pytest.mark.parametrize("phase", ["val", "test"])
def test_validation_is_whole_pictures_with_a_fixed_blur(phase: str) -> None:
    dataset = build(phase=phase, gt_size=None, draws_per_image=None, photographs=["coffee"])
    assert len(dataset) == 1
    first, again = dataset[0], dataset[0]
    assert first["gt"].shape == (3, 400, 600)
    assert torch.equal(first["gt"], torch.from_numpy(data.coffee().copy()).permute(2, 0, 1) / 255)
    assert torch.equal(first["lq"], again["lq"])
    assert not torch.equal(first["lq"], first["gt"])


def test_folder_and_lmdb_give_the_same_pixels(folder: Path, lmdb: Path) -> None:
    (folder / "c.d.png").unlink()
    from_folder = build(photographs=None, dataroot_gt=str(folder))
    from_lmdb = build(photographs=None, dataroot_gt=str(lmdb))
    assert from_folder.pictures.keys == ["b/one", "two"]
    assert sorted(from_lmdb.pictures.keys) == ["b/one", "two"]
    by_key = {sample["gt_path"]: sample for sample in (from_lmdb[0], from_lmdb[1])}
    for index, key in enumerate(from_folder.pictures.keys):
        assert torch.equal(from_folder[index]["lq"], by_key[key]["lq"])
        assert from_folder[index]["gt_path"] == str(folder / f"{key}.png")


def test_lmdb_in_this_process_and_in_workers(lmdb: Path) -> None:
    options = {"photographs": None, "dataroot_gt": str(lmdb)}
    alone = all_pixels(build(**options))
    assert torch.equal(all_pixels(build(**options), num_workers=2), alone)
    used = build(**options)
    assert torch.equal(all_pixels(used), alone)
    assert torch.equal(all_pixels(pickle.loads(pickle.dumps(used))), alone)  # as workers get it where they are spawned


def test_photographs_are_scikit_images() -> None:
    assert np.array_equal(load_photograph("astronaut"), data.astronaut())
    for name in PHOTOGRAPHS:
        photograph = load_photograph(name)
        assert photograph.dtype == np.uint8
        assert photograph.ndim == 3
        assert min(photograph.shape[:2]) >= 256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"photographs": ["coffee", "tea"]}, "'tea'.*astronaut, chelsea, coffee"),
        ({"gt_szie": 3}, "gt_szie"),
        ({"gt_size": "large"}, "gt_size"),
        ({"gt_size": None}, "gt_size"),
        ({"photographs": None}, "dataroot_gt or photographs"),
        ({"dataroot_gt": "somewhere"}, "dataroot_gt or photographs"),
        ({"blur": {"kernel": 9}}, "blur.kernel"),
        ({"blur": {"kernel_size": [8, 10]}}, "odd"),
        ({"blur": {"kernel_size": 9}}, "blur.kernel_size"),
        ({"draws_per_image": 0}, "draws_per_image"),
        ({"scale": 2}, "scale"),
    ],
)
def test_impossible_options(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as error:
        build(**changes)
    assert "\n" not in str(error.value)


def test_missing_data(tmp_path: Path, lmdb: Path) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(lmdb, tmp_path / "no_list.lmdb", ignore=shutil.ignore_patterns("meta_info.txt"))
    shutil.copytree(lmdb, tmp_path / "bad_list.lmdb")
    (tmp_path / "bad_list.lmdb" / "meta_info.txt").write_text("one\n")
    for name, message in (
        ("nowhere", "no folder"),
        ("empty", "no pictures"),
        ("nowhere.lmdb", "no data.mdb"),
        ("no_list.lmdb", "no meta_info.txt"),
        ("bad_list.lmdb", "meta_info.txt: line 1"),
    ):
        with pytest.raises(DataError, match=message):
            build(photographs=None, dataroot_gt=str(tmp_path / name))
    with pytest.raises(DataError, match="No kernel file"):
        build(blur={"kernels": str(tmp_path / "nowhere")})


def test_lmdb_that_lacks_a_listed_picture(lmdb: Path) -> None:
    with (lmdb / "meta_info.txt").open("a") as file:
        file.write("three.png (96,80,3) 1\n")
    dataset = build(photographs=None, dataroot_gt=str(lmdb), phase="val")
    with pytest.raises(DataError, match=r"lacks three"):
        dataset[2]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (coffee_crop(40), "80x40, smaller than gt_size 48"),
        (coffee_crop()[..., 0], "grey"),
        (coffee_crop().astype(np.uint16) * 257, "uint16"),
        (np.dstack([coffee_crop(), coffee_crop()[..., :1]]), "transparency"),
        (None, "corrupt"),
    ],
)
def test_unusable_picture_is_named(tmp_path: Path, image: np.ndarray | None, message: str) -> None:
    path = write(tmp_path / "bad.png", coffee_crop() if image is None else image)
    if image is None:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    dataset = build(photographs=None, dataroot_gt=str(tmp_path))
    with pytest.raises(DataError, match=message) as error:
        dataset[0]
    assert "bad.png" in str(error.value)
    assert "\n" not in str(error.value)


def test_error_in_a_worker_keeps_its_type_and_message(tmp_path: Path) -> None:
    write(tmp_path / "small.png", coffee_crop(40))
    dataset = build(photographs=None, dataroot_gt=str(tmp_path))
    with pytest.raises(DataError) as error:
        all_pixels(dataset, num_workers=1)
    assert "small.png is 80x40, smaller than gt_size 48" in one_line(error.value)


def test_two_pictures_of_one_key(tmp_path: Path) -> None:
    for suffix in ("png", "jpg"):
        write(tmp_path / f"one.{suffix}", coffee_crop())
    with pytest.raises(DataError, match="differ in their suffix only"):
        build(photographs=None, dataroot_gt=str(tmp_path))
