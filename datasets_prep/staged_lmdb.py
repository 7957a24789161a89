"""One LMDB while it is being built: transactions that carry their own progress, and a map that grows as needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import lmdb

from uml_in_arch.errors import DataError

_PROGRESS = b"\0progress"  # sorts before every key of a picture; removed by `finish`
_GROWTH = 64 << 20


class StagedLmdb:
    """An LMDB under construction in ``folder``; opening an existing one goes on where its last transaction ended.

    Pictures and the progress record are committed together, so after a kill the LMDB knows exactly what it holds.
    Data is not forced to the disk before `finish`: that is safe against a killed process, and a power cut is found by
    the verification that follows.

    Attributes:
        items_done: number of source items whose pictures are in the LMDB (or were skipped).
        skipped: one line for each of those that were skipped.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._env = lmdb.open(str(folder), map_size=_GROWTH, sync=False, readahead=False)
            with self._env.begin() as transaction:
                stored = transaction.get(_PROGRESS)
        except lmdb.Error as error:
            raise self._failure(error) from error
        progress = json.loads(stored) if stored else {"items_done": 0, "skipped": []}
        self.items_done: int = progress["items_done"]
        self.skipped: list[str] = progress["skipped"]

    def commit(self, records: Sequence[tuple[str, bytes]], items_done: int, skipped: Sequence[str]) -> None:
        """Store ``records`` (key, value) and the progress in one transaction: all of it or nothing.

        Raises:
            DataError: a key is there already, or the disk is full.
        """
        progress = json.dumps({"items_done": items_done, "skipped": list(skipped)}).encode()
        try:
            self._reserve([len(value) for _, value in records] + [len(progress)])
            with self._env.begin(write=True) as transaction:
                for key, value in records:
                    if not transaction.put(key.encode("ascii"), value, overwrite=False):
                        raise DataError(
                            f"two pictures have the key {key}: rename one, delete {self.folder.parent} and start again"
                        )
                transaction.put(_PROGRESS, progress)
        except lmdb.Error as error:
            raise self._failure(error) from error
        self.items_done = items_done
        self.skipped = list(skipped)

    def finish(self) -> None:
        """Remove the progress record, force everything to the disk and close."""
        try:
            with self._env.begin(write=True) as transaction:
                transaction.delete(_PROGRESS)
            self._env.sync(True)
        except lmdb.Error as error:
            raise self._failure(error) from error
        self.close()

    def close(self) -> None:
        """Close the LMDB as it is; it can be opened again."""
        self._env.close()

    def _reserve(self, value_sizes: Sequence[int]) -> None:
        page = self._env.stat()["psize"]
        used = self._env.info()["last_pgno"] + 1
        # at most one tree page more per value, and room for the copies of the tree's inner pages
        pages = used + sum(size // page + 3 for size in value_sizes) + 256
        if pages * page > self._env.info()["map_size"]:
            self._env.set_mapsize(pages * page + _GROWTH)

    def _failure(self, error: lmdb.Error) -> DataError:
        # LMDB reports a full disk as ENOSPC, as a short write (EIO) or, under a quota, as EFBIG
        reason = str(error).rsplit(":", 1)[-1].strip().rstrip(".")
        return DataError(f"cannot write to {self.folder} ({reason}): free space on that disk, then go on with --resume")
