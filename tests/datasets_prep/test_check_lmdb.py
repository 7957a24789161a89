from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from basicsr.utils.lmdb_util import LmdbMaker

Pair = tuple[Path, Path]


@pytest.fixture
def made_by_basicsr(tmp_path: Path, photographs: list[np.ndarray]) -> Pair:
    """A pair of LMDBs that BasicSR's own tool wrote."""
    folders = (tmp_path / "blur.lmdb", tmp_path / "sharp.lmdb")
    for folder, size in zip(folders, (5, 1), strict=True):
        maker = LmdbMaker(str(folder), map_size=1 << 24)
        for number, photograph in enumerate(photographs):
            data = cv2.imencode(".png", cv2.blur(photograph, (size, size)))[1].tobytes()
            maker.put(data, f"picture_{number}", photograph.shape)
        maker.close()
    return folders


def change(folder: Path, key: bytes, value: bytes | None) -> None:
    with lmdb.open(str(folder), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        transaction.delete(key)
        if value is not None:
            transaction.put(key, value)


def test_basicsrs_own_pair_passes(made_by_basicsr: Pair, run_script: Callable, tmp_path: Path):
    result = run_script("check_lmdb.py", *made_by_basicsr, "--sheet", tmp_path / "sheet.png", "--pairs", 2)
    assert result.returncode == 0, result.stderr
    assert "4 keys" in result.stdout
    assert "mean PSNR of the pairs 2" in result.stdout
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (2 * (18 + 256), 512, 3)
    alone = run_script("check_lmdb.py", made_by_basicsr[1])
    assert alone.returncode == 0, alone.stderr


def truncated(pair: Pair) -> str:
    with lmdb.open(str(pair[0])) as environment, environment.begin() as transaction:
        data = transaction.get(b"picture_2")
    change(pair[0], b"picture_2", data[:40])
    return "picture_2 cannot be decoded"


def other_shape(pair: Pair) -> str:
    change(pair[1], b"picture_1", cv2.imencode(".png", np.zeros((8, 9, 3), np.uint8))[1].tobytes())
    return "picture_1 is (8,9,3), meta_info.txt says (256,256,3)"


def other_key(pair: Pair) -> str:
    data = cv2.imencode(".png", np.zeros((256, 256, 3), np.uint8))[1].tobytes()
    change(pair[1], b"picture_3", None)
    change(pair[1], b"picture_9", data)
    return "different keys"


def one_less(pair: Pair) -> str:
    change(pair[0], b"picture_3", None)
    return "has 3 records"


def no_meta_info(pair: Pair) -> str:
    (pair[1] / "meta_info.txt").unlink()
    return "no meta_info.txt"


def damaged_file(pair: Pair) -> str:
    (pair[1] / "data.mdb").write_bytes(b"not an LMDB" * 1000)
    return "cannot be read as an LMDB"


def cut_off_file(pair: Pair) -> str:
    data = (pair[0] / "data.mdb").read_bytes()
    (pair[0] / "data.mdb").write_bytes(data[: len(data) // 2])
    return "data.mdb is cut off"


def mixed_up(pair: Pair) -> str:
    rng = np.random.default_rng(0)
    for number in range(4):
        noise = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
        change(pair[1], b"picture_%d" % number, cv2.imencode(".png", noise)[1].tobytes())
    return "the pairs do not belong together"


@pytest.mark.parametrize(
    "spoil", [truncated, other_shape, other_key, one_less, no_meta_info, damaged_file, cut_off_file, mixed_up]
)
def test_what_is_wrong_is_said(made_by_basicsr: Pair, run_script: Callable, spoil: Callable[[Pair], str]):
    expected = spoil(made_by_basicsr)
    result = run_script("check_lmdb.py", *made_by_basicsr, "--workers", 1)
    assert result.returncode == 2, result.stdout
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr
    assert expected in result.stdout + result.stderr
