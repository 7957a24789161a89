from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from lmdb_build import Build, Record
from lmdb_writer import WriterOptions, needs_building, write_lmdbs
from png_file import encode_png
from worker_pool import WorkerPool

from uml_in_arch.errors import DataError


@dataclass(frozen=True)
class Plain:
    """One-coloured pairs; item 3 puts something in the way of the second LMDB."""

    in_the_way: Path

    def __call__(self, number: int) -> list[Record]:
        if number == 3:
            self.in_the_way.mkdir(parents=True)
        png = encode_png(np.full((4, 4, 3), number, np.uint8))
        return [Record(f"key_{number}", (png, png))]


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(1) as workers:
        yield workers


def pair_build(target: Path, numbers: list[int]) -> Build[int]:
    return Build("pair", target, ("a.lmdb", "b.lmdb"), numbers, Plain(target / "b.lmdb" / "mine"), {})


def test_both_lmdbs_of_a_pair_appear_or_neither(tmp_path: Path, pool: WorkerPool, contents: Callable) -> None:
    build = pair_build(tmp_path, [1, 2, 3, 4])
    with pytest.raises(DataError, match="cannot write to"):
        write_lmdbs(build, WriterOptions(), pool)
    assert not (tmp_path / "a.lmdb").exists()
    shutil.rmtree(tmp_path / "b.lmdb")
    assert needs_building(build, WriterOptions(resume=True))

    # what a kill between the two renames leaves
    build.staged[0].rename(tmp_path / "a.lmdb")
    assert needs_building(build, WriterOptions(resume=True))
    assert write_lmdbs(build, WriterOptions(resume=True), pool) == []
    assert contents(tmp_path / "a.lmdb") == contents(tmp_path / "b.lmdb")
    assert not build.staging.exists()
    assert not needs_building(build, WriterOptions(resume=True))


def test_two_items_with_one_key(tmp_path: Path, pool: WorkerPool) -> None:
    with pytest.raises(DataError, match="two pictures have the key key_1"):
        write_lmdbs(pair_build(tmp_path, [1, 2, 1]), WriterOptions(), pool)
    assert not list(tmp_path.glob("*.lmdb"))


def test_half_a_pair_in_the_target_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.lmdb").mkdir()
    for resume in (False, True):
        with pytest.raises(DataError, match="b.lmdb exists already"):
            needs_building(pair_build(tmp_path, [1]), WriterOptions(resume=resume))
