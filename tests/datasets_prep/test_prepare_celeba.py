from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from prepare_celeba import find_faces, find_partition, read_partition

from uml_in_arch.errors import DataError

REAL_FACES = Path(__file__).resolve().parents[3] / "shared" / "data" / "celeba"


@pytest.fixture
def celeba(tmp_path: Path, photographs: list[np.ndarray]) -> Path:
    """Eight faces of CelebA's size in its layout; the sixth is cut off."""
    folder = tmp_path / "CelebA" / "img_align_celeba"
    folder.mkdir(parents=True)
    for number in range(1, 9):
        picture = cv2.resize(photographs[number % 4], (178, 218))
        data = cv2.imencode(".jpg", np.roll(picture, number, axis=1))[1].tobytes()
        (folder / f"{number:06d}.jpg").write_bytes(data[:-200] if number == 6 else data)
    lines = [f"{number:06d}.jpg {split}" for number, split in enumerate((0, 0, 0, 0, 0, 0, 1, 2, 2), start=1)]
    (tmp_path / "CelebA" / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "CelebA"


def test_folder_and_zip_one_and_two_workers_give_the_same(
    celeba: Path, tmp_path: Path, run_script: Callable, contents: Callable, paired_dataset: Callable
):
    arguments = ("--size", 96, "--seed", 3, "--skip-corrupt")
    result = run_script("prepare_celeba.py", "--source", celeba, "--target", tmp_path / "a", "--workers", 2, *arguments)
    assert result.returncode == 3, result.stderr
    assert "1 listed pictures are not there" in result.stdout
    assert "000006.jpg" in (tmp_path / "a/train_skipped.txt").read_text()

    zipped = tmp_path / "zipped"
    zipped.mkdir()
    with zipfile.ZipFile(zipped / "img_align_celeba.zip", "w") as archive:
        for path in sorted((celeba / "img_align_celeba").iterdir()):
            archive.write(path, f"img_align_celeba/{path.name}")
    (celeba / "list_eval_partition.txt").rename(zipped / "list_eval_partition.txt")
    result = run_script("prepare_celeba.py", "--source", zipped, "--target", tmp_path / "b", "--workers", 1, *arguments)
    assert result.returncode == 3, result.stderr

    for split, numbers in (("train", range(1, 6)), ("val", (7,)), ("test", (8,))):
        for side in ("blur", "sharp"):
            records, meta = contents(tmp_path / f"a/{split}_{side}.lmdb")
            assert (records, meta) == contents(tmp_path / f"b/{split}_{side}.lmdb")
            assert [key for key, _ in records] == [b"%06d" % number for number in numbers]
            assert meta.startswith(f"{numbers[0]:06d}.png (96,96,3) 1\n")
    pair = paired_dataset(tmp_path / "a", "train")[0]
    face = cv2.imread(str(celeba / "img_align_celeba/000001.jpg"))[20:198]
    expected = cv2.resize(face, (96, 96), interpolation=cv2.INTER_AREA)[..., ::-1].transpose(2, 0, 1)
    np.testing.assert_array_equal(np.rint(pair["gt"].numpy() * 255), expected)
    # motion blur: smoother than the sharp one, and still the same face
    assert pair["lq"].diff(dim=2).abs().mean() < 0.8 * pair["gt"].diff(dim=2).abs().mean()
    assert 0 < (pair["lq"] - pair["gt"]).square().mean() < 0.02


@pytest.mark.skipif(not REAL_FACES.is_dir(), reason="the real faces are not here")
def test_official_partition_list() -> None:
    partition = read_partition(REAL_FACES / "list_eval_partition.txt")
    splits = list(partition.values())
    assert [splits.count(name) for name in ("train", "val", "test")] == [162770, 19867, 19962]
    faces, names = find_faces(REAL_FACES / "aligned_178x218")
    assert names <= partition.keys()
    assert find_partition(REAL_FACES, faces.place).parent == REAL_FACES


def test_kaggles_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list_eval_partition.csv"
    path.write_text("image_id,partition\n000001.jpg,0\n000002.jpg,2\n")
    assert read_partition(path) == {"000001.jpg": "train", "000002.jpg": "test"}


def test_bad_sources_are_one_clear_line(tmp_path: Path, celeba: Path) -> None:
    with pytest.raises(DataError, match="no CelebA pictures in"):
        find_faces(tmp_path / "nothing")
    (tmp_path / "img_align_celeba.zip").write_bytes(b"PK\3\4 cut off")
    with pytest.raises(DataError, match="not a whole zip"):
        find_faces(tmp_path / "img_align_celeba.zip")
    (celeba / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg seven\n")
    with pytest.raises(DataError, match="line 2"):
        read_partition(find_partition(celeba, celeba / "img_align_celeba"))
    (celeba / "list_eval_partition.txt").unlink()
    with pytest.raises(DataError, match="no list_eval_partition.txt beside"):
        find_partition(celeba, celeba / "img_align_celeba")
