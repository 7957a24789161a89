"""Reading 8-bit colour pictures, from the bytes of a file to named collections: folders and BasicSR's LMDBs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import lmdb
import numpy as np

from uml_in_arch.data_check import read_meta_info
from uml_in_arch.errors import DataError
from uml_in_arch.lmdb_files import open_lmdb
from uml_in_arch.picture_header import read_header

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def decode(data: bytes, name: str) -> np.ndarray:
    """The picture in an encoded file.

    Args:
        data: The whole file.
        name: What to call it in errors.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        DataError: It cannot be decoded, or is not 8-bit colour.
    """
    try:
        read_header(data)
    except DataError as reason:
        raise DataError(f"{name}: {reason}") from reason
    picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise DataError(f"{name}: it is corrupt or of an unknown format; replace or remove it")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        channels = 1 if picture.ndim == 2 else picture.shape[2]
        kind = {1: "grey", 3: "colour", 4: "colour with transparency"}.get(channels, f"{channels} channels")
        raise DataError(f"{name} is {picture.dtype}, {kind}: convert it to 8-bit RGB without transparency")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


class Pictures(Protocol):
    """A collection of pictures with unique keys."""

    keys: Sequence[str]

    def read(self, key: str) -> np.ndarray:
        """The picture, uint8 RGB, (H, W, 3); raises DataError if it cannot be read."""
        ...

    def path(self, key: str) -> str:
        """What BasicSR calls the picture: it names results after the last part, without suffix."""
        ...


class FolderPictures:
    """All pictures in a folder and its subfolders; keys are relative paths without suffix, in sorted order."""

    def __init__(self, root: str | Path) -> None:
        root = Path(root).expanduser()
        if not root.is_dir():
            raise DataError(f"There is no folder {root}: correct the path")
        visible = (path for path in root.rglob("*") if not path.name.startswith("."))
        found = sorted(path for path in visible if path.suffix.lower() in SUFFIXES)
        if not found:
            raise DataError(f"There are no pictures in {root}: put {', '.join(SUFFIXES)} files there")
        self._paths: dict[str, Path] = {}
        for path in found:
            key = path.relative_to(root).with_suffix("").as_posix()
            if key in self._paths:
                raise DataError(f"{self._paths[key]} and {path} differ in their suffix only: remove or rename one")
            self._paths[key] = path
        self.keys = list(self._paths)

    def read(self, key: str) -> np.ndarray:
        """See `Pictures.read`."""
        path = self._paths[key]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}): replace or remove it") from error
        return decode(data, str(path))

    def path(self, key: str) -> str:
        """See `Pictures.path`."""
        return str(self._paths[key])


class LmdbPictures:
    """The pictures of an LMDB in BasicSR's layout: encoded files under the keys that meta_info.txt lists."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root).expanduser()
        for name in ("data.mdb", "meta_info.txt"):
            if not (self._root / name).is_file():
                raise DataError(f"{self._root} is not an LMDB in BasicSR's layout, it has no {name}: build it again")
        self.keys = list(read_meta_info(self._root))
        if not self.keys:
            raise DataError(f"{self._root}/meta_info.txt lists no picture: build the LMDB again")

    def read(self, key: str) -> np.ndarray:
        """See `Pictures.read`."""
        try:
            with open_lmdb(self._root).begin() as transaction:
                data = transaction.get(key.encode())
        except lmdb.Error as error:
            raise DataError(f"{self._root} cannot be read ({error}): build the LMDB again") from error
        if data is None:
            raise DataError(f"{self._root} lacks {key}, which its meta_info.txt lists: build the LMDB again")
        return decode(data, f"{key} in {self._root}")

    def path(self, key: str) -> str:
        """See `Pictures.path`."""
        return key
