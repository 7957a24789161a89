from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from image_folder import ImageFolder
from prepare_lsun import First, LmdbKeys, find_places
from verify_lmdb import iterate_keys

from uml_in_arch.errors import DataError


@pytest.fixture
def scenes(photographs: list[np.ndarray]) -> dict[str, bytes]:
    """Encoded pictures by hash, as LSUN stores them: WebP, one JPEG, shorter side 256."""
    wide = [cv2.copyMakeBorder(photograph, 0, 0, 20, 31, cv2.BORDER_REFLECT) for photograph in photographs]
    encoded = [
        cv2.imencode(suffix, image)[1].tobytes()
        for image, suffix in zip(wide, (".webp", ".webp", ".webp", ".jpg"), strict=True)
    ]
    return {hashlib.sha1(data).hexdigest(): data for data in encoded}


def write_lsun(folder: Path, values: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for key, data in values.items():
            transaction.put(key.encode(), data)


def test_official_lmdb_and_exported_folder_give_the_same(
    tmp_path: Path, scenes: dict[str, bytes], run_script: Callable, contents: Callable, paired_dataset: Callable
):
    write_lsun(tmp_path / "lsun/bedroom_train_lmdb", scenes)
    write_lsun(tmp_path / "lsun/church_outdoor_val_lmdb", {"0" * 40: b"RIFF cut off", **scenes})
    result = run_script("prepare_lsun.py", "--source", tmp_path / "lsun", "--target", tmp_path / "a", "--skip-corrupt")
    assert result.returncode == 3, result.stderr
    assert "0" * 40 in (tmp_path / "a/church_outdoor_val_skipped.txt").read_text()

    for key, data in scenes.items():
        path = tmp_path / "lsun/exported/bedroom_train" / key[0] / key[1] / f"{key}.webp"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    arguments = ("--category", "bedroom", "--max-images", 3, "--workers", 1)
    result = run_script(
        "prepare_lsun.py", "--source", tmp_path / "lsun/exported", "--target", tmp_path / "b", *arguments
    )
    assert result.returncode == 0, result.stderr

    for side in ("blur", "sharp"):
        records, meta = contents(tmp_path / f"a/bedroom_train_{side}.lmdb")
        assert [key.decode() for key, _ in records] == sorted(scenes)
        assert contents(tmp_path / f"a/church_outdoor_val_{side}.lmdb") == (records, meta)
        assert contents(tmp_path / f"b/bedroom_train_{side}.lmdb")[0] == records[:3]
    pair = paired_dataset(tmp_path / "a", "bedroom_train")[0]
    whole = cv2.imdecode(np.frombuffer(scenes[pair["gt_path"]], np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(np.rint(pair["gt"].numpy() * 255), whole[:, 25:281, ::-1].transpose(2, 0, 1))
    assert 0 < (pair["lq"] - pair["gt"]).square().mean() < 0.05


def test_places_are_found_by_name(tmp_path: Path, scenes: dict[str, bytes]) -> None:
    for name in ("bedroom_train_lmdb", "bedroom_val_lmdb", "church_outdoor_train_lmdb"):
        write_lsun(tmp_path / name, scenes)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.webp").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    assert [name for name, _, _ in find_places(tmp_path, None)] == [
        "bedroom_train",
        "bedroom_val",
        "cat",
        "church_outdoor_train",
    ]
    assert [name for name, _, _ in find_places(tmp_path, ["bedroom"])] == ["bedroom_train", "bedroom_val"]
    assert find_places(tmp_path / "cat", None) == [("cat", tmp_path / "cat", False)]
    with pytest.raises(DataError, match="no LSUN tower"):
        find_places(tmp_path, ["bedroom", "tower"])
    (tmp_path / "bedroom_train").mkdir()
    (tmp_path / "bedroom_train" / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="would both become bedroom_train"):
        find_places(tmp_path, ["bedroom"])


def test_keys_are_read_in_parts_and_none_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"{number:03d}" for number in range(25)]
    write_lsun(tmp_path / "many", {key: b"x" for key in reversed(keys)})
    for at_once in (1, 5, 24, 25, 26):
        monkeypatch.setattr("verify_lmdb._KEYS_AT_ONCE", at_once)
        assert [key.decode() for key in iterate_keys(tmp_path / "many")] == keys
    assert list(First(LmdbKeys(tmp_path / "many"), 4)) == keys[:4]
    write_lsun(tmp_path / "none", {})
    assert list(iterate_keys(tmp_path / "none")) == []


def test_image_folder_is_ordered_and_counted(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.JPG", "a.webp", "c/d/e.jpeg", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folder = ImageFolder(tmp_path)
    assert list(folder) == ["a.webp", "b/1.JPG", "b/2.png", "c/d/e.jpeg"]
    assert len(folder) == 4
