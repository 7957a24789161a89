from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from alignment import best_shift, crop_to_common, shift_of_kernel
from prepare_lai import find_benchmark

from uml_in_arch.data.blur import correlate
from uml_in_arch.errors import DataError

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "lai2016"


def off_centre_kernel(down: int, right: int) -> np.ndarray:
    kernel = np.zeros((21, 21), np.float32)
    kernel[10 + down - 1 : 10 + down + 2, 10 + right] = 1 / 3
    return kernel


def blurred(sharp: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.rint(correlate(sharp.astype(np.float32), kernel, "reflect")).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (4, -7), (-6, 2), (-9, -9)])
def test_both_alignments_find_a_known_shift(photographs: list[np.ndarray], down: int, right: int) -> None:
    sharp, kernel = photographs[0], off_centre_kernel(down, right)
    blur = blurred(sharp, kernel)
    assert shift_of_kernel(kernel) == (down, right)
    assert best_shift(blur, sharp) == (down, right)
    moved_blur, moved_sharp = crop_to_common(blur, sharp, (down, right))
    assert moved_blur.shape == moved_sharp.shape == (256 - abs(down), 256 - abs(right), 3)
    centred = blurred(moved_sharp, off_centre_kernel(0, 0))
    np.testing.assert_array_equal(centred[12:-12, 12:-12], moved_blur[12:-12, 12:-12])


@pytest.fixture
def lai(tmp_path: Path, photographs: list[np.ndarray]) -> Path:
    """The official tree in small: two scenes, one kernel, one non-uniform and two real pictures."""
    root = tmp_path / "lai"
    kernel = off_centre_kernel(3, -5)
    scenes = {"manmade_01": photographs[0], "text_02": photographs[2]}
    pictures = {
        "kernel/kernel_01.png": np.rint(kernel * 255).astype(np.uint8),
        "nonuniform/text_02_gyro_03.png": blurred(scenes["text_02"], off_centre_kernel(-2, 1)),
        "real_dataset/boat1.jpg": photographs[3],
        "real_dataset/Pantheon.png": photographs[1],
    }
    for scene, sharp in scenes.items():
        pictures[f"ground_truth/{scene}.png"] = sharp
        pictures[f"uniform/{scene}_kernel_01.png"] = blurred(sharp, kernel)
    # as in the official download, one ground truth has an (opaque) alpha channel
    pictures["ground_truth/text_02.png"] = cv2.cvtColor(scenes["text_02"], cv2.COLOR_BGR2BGRA)
    for name, picture in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), picture)
    return root


def test_benchmark_and_training_pairs(
    lai: Path, tmp_path: Path, run_script: Callable, contents: Callable, paired_dataset: Callable
):
    training = ("--train-from", lai / "ground_truth", "--tile", 128, "--step", 64, "--kernel-size", 9, 15)
    result = run_script("prepare_lai.py", "--source", lai, "--target", tmp_path / "out", *training)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "nonuniform_blur.lmdb",
        "nonuniform_sharp.lmdb",
        "real_blur.lmdb",
        "train_blur.lmdb",
        "train_sharp.lmdb",
        "uniform_blur.lmdb",
        "uniform_sharp.lmdb",
    ]
    for name, size, kernel in (("uniform", (253, 251), off_centre_kernel(0, 0)), ("nonuniform", (254, 255), None)):
        for pair in paired_dataset(tmp_path / "out", name):
            sharp, blur = (np.rint(pair[side].numpy() * 255).transpose(1, 2, 0) for side in ("gt", "lq"))
            assert sharp.shape == (*size, 3)
            again = blurred(sharp, off_centre_kernel(0, 0) if kernel is None else kernel)
            assert np.abs(again - blur)[12:-12, 12:-12].max() <= 1
    real, meta = contents(tmp_path / "out/real_blur.lmdb")
    assert dict(real)[b"Pantheon"] == (lai / "real_dataset/Pantheon.png").read_bytes()
    assert [line.split()[0] for line in meta.splitlines()] == ["Pantheon.png", "boat1.png"]
    train = paired_dataset(tmp_path / "out", "train")
    assert len(train) == 2 * 9
    assert train[0]["gt"].shape == (3, 128, 128)


def test_names_in_the_wild(lai: Path, tmp_path: Path) -> None:
    official = find_benchmark(lai)
    other = tmp_path / "other"
    for before, after in (
        ("ground_truth", "synthetic/uniform/sharp"),
        ("uniform", "synthetic/uniform/blur"),
        ("kernel", "synthetic/uniform/kernels"),
        ("nonuniform", "synthetic/nonuniform/blur"),
        ("real_dataset", "real"),
    ):
        shutil.copytree(lai / before, other / after)
    found = find_benchmark(other)
    assert {name: [pair.key for pair in pairs] for name, pairs in found[0].items()} == {
        name: [pair.key for pair in pairs] for name, pairs in official[0].items()
    }
    assert [path.name for path in found[1]] == [path.name for path in official[1]]


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real benchmark pictures are not here")
def test_real_sample_is_understood() -> None:
    pairs, real = find_benchmark(REAL_DATA)
    assert [pair.key for pair in pairs["uniform"]] == [
        f"{scene}_05_kernel_01" for scene in ("manmade", "natural", "people", "saturated", "text")
    ]
    assert all(pair.kernel.name == "kernel_01.png" for pair in pairs["uniform"])
    assert len(real) == 10


def test_missing_and_double_ground_truth(lai: Path) -> None:
    shutil.copy(lai / "ground_truth/manmade_01.png", lai / "uniform/manmade_01.png")
    with pytest.raises(DataError, match="manmade_01.png both are its ground truth manmade_01"):
        find_benchmark(lai)
    (lai / "uniform/manmade_01.png").unlink()
    (lai / "ground_truth/text_02.png").unlink()
    with pytest.raises(DataError, match="nothing is its ground truth text_02"):
        find_benchmark(lai)
    with pytest.raises(DataError, match="is no folder"):
        find_benchmark(lai / "nothing")
