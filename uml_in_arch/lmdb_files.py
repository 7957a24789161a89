"""Opening LMDBs for reading, any number of times in a process and after a fork."""

from __future__ import annotations

import os

import lmdb

from uml_in_arch.errors import DataError

_shared: dict[str, tuple[int, lmdb.Environment]] = {}


def open_lmdb(path: str | os.PathLike[str]) -> lmdb.Environment:
    """A read-only environment, shared by all who ask for the same folder in this process.

    LMDB refuses to open a folder twice in a process, and after a fork it takes the parent's environment for the
    child's own; so the child closes what it inherited and opens it again.

    Raises:
        DataError: The folder is not a readable LMDB.
    """
    folder = os.path.realpath(path)
    process, environment = _shared.get(folder, (None, None))
    if process == os.getpid():
        return environment
    if environment is not None:
        environment.close()
    environment = _open(folder)
    _shared[folder] = (os.getpid(), environment)
    return environment


def count_entries(path: str | os.PathLike[str]) -> int:
    """How many pictures an LMDB holds; leaves it closed if it was.

    Raises:
        DataError: The folder is not a readable LMDB.
    """
    folder = os.path.realpath(path)
    if folder in _shared:
        return open_lmdb(folder).stat()["entries"]
    with _open(folder) as environment:
        return environment.stat()["entries"]


def _open(folder: str) -> lmdb.Environment:
    try:
        return lmdb.open(folder, readonly=True, lock=False, readahead=False, meminit=False, create=False)
    except lmdb.Error as error:
        reason = str(error).removeprefix(f"{folder}: ")
        raise DataError(f"{folder}: this LMDB cannot be opened ({reason}); prepare it again") from error
