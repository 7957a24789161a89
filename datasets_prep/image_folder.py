"""All pictures below a folder, in a fixed order, without a list of them in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pictures import PICTURE_SUFFIXES


@dataclass(frozen=True)
class ImageFolder:
    """The paths, relative to ``root``, of all pictures in it and its subfolders, one folder after the other."""

    root: Path

    def __iter__(self) -> Iterator[str]:
        yield from self._walk("")

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return sum(1 for _ in self)

    def _walk(self, inside: str) -> Iterator[str]:
        with os.scandir(self.root / inside) as entries:
            names = sorted(entry.name + "/" * entry.is_dir() for entry in entries)
        for name in names:
            if name.endswith("/"):
                yield from self._walk(inside + name)
            elif name.lower().endswith(PICTURE_SUFFIXES):
                yield inside + name
