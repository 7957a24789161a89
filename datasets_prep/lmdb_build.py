"""What a preparation script asks the writer to build."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from png_file import PictureError

from uml_in_arch.errors import DataError

Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)

_SAMPLES = 8


class Items(Protocol[Item_co]):
    """What can be counted and iterated more than once, without having to be in memory."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item_co]: ...


@dataclass(frozen=True)
class Record:
    """One key with its PNG for each of the build's LMDBs: encoded bytes, or the path of a file to store as it is."""

    key: str
    pngs: tuple[bytes | Path, ...]


@dataclass(frozen=True)
class Build(Generic[Item]):
    """What to build.

    Attributes:
        name: names the build and its ``NAME.partial`` folder.
        target: folder of the LMDBs.
        lmdbs: their names, in the order of `Record.pngs`, each ending in ``.lmdb``.
        items: what the pictures are made from, in a fixed order; may be iterated several times.
        convert: makes the records of an item, in a worker process, so it must be picklable. Raises `PictureError` for
            an item that cannot be used.
        settings: everything else that the content depends on; a resumed build must have the same.
        items_per_task: items given to a worker at once (more for small pictures).
    """

    name: str
    target: Path
    lmdbs: tuple[str, ...]
    items: Items[Item]
    convert: Callable[[Item], list[Record]]
    settings: Mapping[str, str | int | float | bool | None]
    items_per_task: int = 1

    @property
    def staging(self) -> Path:
        """Where the build lives until it is complete."""
        return self.target / f"{self.name}.partial"

    @property
    def staged(self) -> tuple[Path, ...]:
        """Where each LMDB lives until the build is complete: not named ``.lmdb``, so nothing takes it for one."""
        return tuple(self.staging / name.removesuffix(".lmdb") for name in self.lmdbs)

    @property
    def finals(self) -> tuple[Path, ...]:
        """The LMDBs' places when the build is complete."""
        return tuple(self.target / name for name in self.lmdbs)


@dataclass(frozen=True)
class Estimate:
    """How big a build will be: records in each LMDB, and bytes of each LMDB."""

    records: int
    sizes: tuple[int, ...]


def estimate(build: Build[Item]) -> Estimate:
    """Convert up to eight items spread over the build and extrapolate.

    Raises:
        DataError: none of them could be used.
    """
    every = max(1, len(build.items) // _SAMPLES)
    records, sizes, used, problem = 0, [0] * len(build.lmdbs), 0, ""
    for item in islice(build.items, 0, every * _SAMPLES, every):
        try:
            converted = build.convert(item)
        except PictureError as error:
            problem = str(error)
            continue
        used += 1
        records += len(converted)
        for record in converted:
            for index, png in enumerate(record.pngs):
                sizes[index] += png.stat().st_size if isinstance(png, Path) else len(png)
    if not used:
        raise DataError(problem)
    scale = len(build.items) / used
    return Estimate(round(records * scale), tuple(round(size * scale) for size in sizes))


def digest(names: Iterable[str]) -> str:
    """Short checksum of the names of a build's items, for `Build.settings`."""
    checksum = hashlib.sha256()
    for name in names:
        checksum.update(name.encode() + b"\0")
    return checksum.hexdigest()[:16]


def refuse_duplicates(keys: Iterable[tuple[str, Path]]) -> None:
    """Raise DataError if two of the (key, file) have the same key."""
    seen: set[str] = set()
    for key, file in keys:
        if key in seen:
            raise DataError(f"{file} and another file would both have the key {key}: rename one of them")
        seen.add(key)
