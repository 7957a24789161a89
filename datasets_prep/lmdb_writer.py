"""The one way all preparation scripts write: pictures into one or several LMDBs of BasicSR's layout.

While it is built, a build lives in ``TARGET/NAME.partial/``. When every picture has been read back and verified, its
LMDBs are renamed to their places together. So a killed run leaves nothing that looks like an LMDB, and can be resumed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lmdb_build import Build, Item, Record
from pictures import read_file
from png_file import PictureError
from staged_lmdb import StagedLmdb
from staging import is_resumable, publish, remember_settings, staging_folder, write_durably
from tqdm import tqdm
from verify_lmdb import verified_meta_lines
from worker_pool import WorkerPool

from uml_in_arch.errors import DataError

_COMMIT_BYTES = 8 << 20


@dataclass(frozen=True)
class WriterOptions:
    """How to build: none of this changes the content."""

    resume: bool = False
    skip_corrupt: bool = False


def needs_building(build: Build[Item], options: WriterOptions) -> bool:
    """Whether the build has still to be done; False when it is complete and ``resume`` was asked for.

    Raises:
        DataError: its LMDBs exist, or an unfinished build does and ``resume`` was not asked for.
    """
    if is_resumable(build):
        if not options.resume:
            raise DataError(f"{build.staging} is an unfinished build: go on with --resume, or delete that folder")
        return True
    present = [folder for folder in build.finals if folder.exists()]
    if options.resume and len(present) == len(build.finals):
        return False
    if present:
        raise DataError(f"{present[0]} exists already: delete it, or choose another --target")
    return True


def write_lmdbs(build: Build[Item], options: WriterOptions, pool: WorkerPool) -> list[str]:
    """Build the LMDBs, verify them and put them in place.

    Returns:
        One line for each item that was left out; ``NAME_skipped.txt`` beside the LMDBs has the same lines.

    Raises:
        DataError: what is wrong. What was done so far is kept for ``--resume``.
    """
    with staging_folder(build):
        written, verified = build.staging / "written.txt", build.staging / "verified"
        if not verified.exists():
            if not written.exists():
                write_durably(written, "\n".join(_write_records(build, options, pool)))
            _finish(build, pool)
            write_durably(verified, "")
        skipped = written.read_text(encoding="utf-8").splitlines()
        if skipped:
            write_durably(build.target / f"{build.name}_skipped.txt", "\n".join(skipped) + "\n")
        publish(build)
    return skipped


def _write_records(build: Build[Item], options: WriterOptions, pool: WorkerPool) -> list[str]:
    """Convert and store all items that are not stored yet; return the lines of those left out."""
    with ExitStack() as stack:
        stores = [StagedLmdb(folder) for folder in build.staged]
        for store in stores:
            stack.callback(store.close)
        # a kill may fall between the transactions of two LMDBs: begin with what all of them have
        behind = min(stores, key=lambda store: store.items_done)
        batch = _Batch(stores, behind.items_done, list(behind.skipped))
        todo = islice(build.items, batch.items_done, None)
        results = pool.map(_Guarded(build.convert), todo, build.items_per_task)
        with tqdm(results, desc=build.name, total=len(build.items), initial=batch.items_done, unit="picture") as bar:
            for result in bar:
                try:
                    batch.add(result)
                except PictureError as error:
                    if not options.skip_corrupt:
                        _commit(build, batch)
                        raise PictureError(f"{error} (--skip-corrupt leaves such pictures out)") from error
                    batch.skip(str(error))
                if batch.size >= _COMMIT_BYTES:
                    _commit(build, batch)
        if len(batch.skipped) == len(build.items):
            raise DataError(f"{build.name}: none of the pictures can be used; the first: {batch.skipped[0]}")
        _commit(build, batch)
    return batch.skipped


@dataclass
class _Batch:
    """Records that wait for the next transaction, one list for each LMDB."""

    stores: list[StagedLmdb]
    items_done: int
    skipped: list[str]
    size: int = 0
    records: list[list[tuple[str, bytes]]] = field(init=False)

    def __post_init__(self) -> None:
        self.records = [[] for _ in self.stores]

    def add(self, result: list[Record] | PictureError) -> None:
        """Take the records of the next item; raises its `PictureError`, and one for a file that cannot be read."""
        if isinstance(result, PictureError):
            raise result
        loaded = [
            (record.key, [read_file(png) if isinstance(png, Path) else png for png in record.pngs]) for record in result
        ]
        self.items_done += 1
        for key, values in loaded:
            self.size += sum(map(len, values))
            for store, waiting, value in zip(self.stores, self.records, values, strict=True):
                if store.items_done < self.items_done:  # not stored before a kill
                    waiting.append((key, value))

    def skip(self, reason: str) -> None:
        """Count the next item as done, without records."""
        self.items_done += 1
        self.skipped.append(reason)

    def commit(self) -> None:
        """One transaction in each LMDB that is behind."""
        for store, waiting in zip(self.stores, self.records, strict=True):
            if store.items_done < self.items_done:
                store.commit(waiting, self.items_done, self.skipped)
            waiting.clear()
        self.size = 0


@dataclass(frozen=True)
class _Guarded:
    """Return the `PictureError` of an item, so that one bad picture does not end the others' work."""

    convert: Callable[[Item], list[Record]]

    def __call__(self, item: Item) -> list[Record] | PictureError:
        try:
            return self.convert(item)
        except PictureError as error:
            return error


def _commit(build: Build[Item], batch: _Batch) -> None:
    if batch.items_done:
        remember_settings(build)
    batch.commit()


def _finish(build: Build[Item], pool: WorkerPool) -> None:
    """Bring the LMDBs to their final form: no progress record, everything on the disk, read back, meta_info.txt."""
    for folder in build.staged:
        StagedLmdb(folder).finish()
    with ExitStack() as stack:
        files = [stack.enter_context((folder / "meta_info.txt").open("w", encoding="ascii")) for folder in build.staged]
        for texts in tqdm(verified_meta_lines(build.staged, pool), desc=f"{build.name}, verifying", unit="slice"):
            for file, text in zip(files, texts, strict=True):
                file.write(text)
        for file in files:
            file.flush()
            os.fsync(file.fileno())
