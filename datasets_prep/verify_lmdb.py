"""Read LMDBs of BasicSR's layout back, a slice of keys at a time, so that memory does not grow with their size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import lmdb
from png_file import PictureError, inspect_png
from worker_pool import WorkerPool

from uml_in_arch.errors import DataError

_SLICE_BYTES = 16 << 20
_KEYS_AT_ONCE = 64
_UNWRITTEN_BYTES = 64 << 10  # LMDB may have counted pages at the end that it then had no need to write


@dataclass(frozen=True)
class Slice:
    """``count`` records from ``first`` on, of LMDBs that should have the same keys."""

    folders: tuple[Path, ...]
    first: bytes
    count: int


@contextmanager
def reading(folder: Path) -> Iterator[lmdb.Transaction]:
    """A read transaction on the LMDB in ``folder``; values are views into the file.

    Raises:
        DataError: there is no LMDB, or it is damaged.
    """
    try:
        with (
            lmdb.open(str(folder), readonly=True, lock=False, readahead=False, create=False) as environment,
            environment.begin(buffers=True) as transaction,
        ):
            used = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
            if (folder / "data.mdb").stat().st_size < used - _UNWRITTEN_BYTES:
                raise DataError(f"{folder}: data.mdb is cut off: download or prepare it again")
            yield transaction
    except (lmdb.Error, OSError) as error:
        reason = str(error).removeprefix(f"{folder}: ")
        raise DataError(f"{folder} cannot be read as an LMDB ({reason}): download or prepare it again") from error


def count_entries(folder: Path) -> int:
    """Number of records in the LMDB."""
    with reading(folder) as transaction:
        return transaction.stat()["entries"]


def slices(folders: tuple[Path, ...]) -> Iterator[Slice]:
    """Cut the key range of ``folders[0]`` into slices of about 16 MiB each."""
    entries = max(1, count_entries(folders[0]))
    mean = (folders[0] / "data.mdb").stat().st_size / entries
    count = max(1, int(_SLICE_BYTES / mean))
    keys = iterate_keys(folders[0])
    while part := list(islice(keys, count)):
        yield Slice(folders, part[0], count)


def iterate_keys(folder: Path) -> Iterator[bytes]:
    """All keys of an LMDB in order. Reads the values too: the lmdb module touches what a cursor passes."""
    following: bytes | None = b"\0"
    while following is not None:
        # opened again now and then: pages of a map that stays open count as this process's memory
        with reading(folder) as transaction:
            cursor = transaction.cursor()
            if not cursor.set_range(following):
                return
            *keys, last = map(bytes, islice(cursor.iternext(values=False), _KEYS_AT_ONCE + 1))
        full = len(keys) == _KEYS_AT_ONCE
        yield from keys if full else [*keys, last]
        following = last if full else None


def read_slice(folder: Path, first: bytes, count: int) -> Iterator[tuple[str, memoryview]]:
    """Yield (key, value) of ``count`` records from ``first`` on; a value is valid until the next is asked for."""
    with reading(folder) as transaction:
        cursor = transaction.cursor()
        cursor.set_range(first)
        for key, value in islice(cursor.iternext(), count):
            yield bytes(key).decode("latin-1"), value


def verified_meta_lines(folders: tuple[Path, ...], pool: WorkerPool) -> Iterator[tuple[str, ...]]:
    """Check every record and yield, slice by slice, the text of each folder's meta_info.txt, in the order of the keys.

    Checked: the LMDBs have the same keys, every value is a whole 8-bit RGB PNG (its checksums), and the sizes of one
    key agree.

    Raises:
        DataError: the first thing that is wrong.
    """
    entries = [count_entries(folder) for folder in folders]
    if len(set(entries)) > 1:
        raise DataError(f"{folders[0].parent}: the LMDBs have {entries} records: delete that folder and start anew")
    yield from pool.map(_check_slice, slices(folders))


def _check_slice(part: Slice) -> tuple[str, ...]:
    texts = []
    shapes: dict[str, tuple[int, int, int]] = {}
    for folder in part.folders:
        lines = []
        for key, value in read_slice(folder, part.first, part.count):
            try:
                info = inspect_png(bytes(value), key)
            except PictureError as error:
                raise DataError(f"{folder}: read back, {error}: delete that folder and start anew") from error
            if folder != part.folders[0] and shapes.pop(key, None) != info.shape:
                raise DataError(f"{folder}: {key} does not match its partner: delete that folder and start anew")
            if folder == part.folders[0]:
                shapes[key] = info.shape
            lines.append(f"{key}.png ({info.height},{info.width},3) {info.level}\n")
        texts.append("".join(lines))
    return tuple(texts)
