"""Which program text a result depends on, so that an edited network is not taken for the one before."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from torch import nn

from uml_in_arch.compare import cache


def digest_of(classes: Iterable[type]) -> str:
    """Sixteen hexadecimal digits for the source files of classes and their bases, and of what these files import.

    Imports are followed into the folders where the classes are: for UMLIN ``archs`` and ``flows``. PyTorch's and
    Python's own files are left out.
    """
    bases = {base.__module__ for kind in classes for base in inspect.getmro(kind)}
    waiting = {name for name in bases if name.partition(".")[0] not in {"torch", *sys.stdlib_module_names}}
    folders = {_folder(name) for name in waiting}
    files: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        path = getattr(sys.modules.get(name), "__file__", None)
        if path and Path(path).is_file():
            files[name] = cache.file_digest(path)
            imported = {other for other in _imported(sys.modules[name]) if _folder(other) in folders}
            waiting |= imported - files.keys()
    return cache.digest(files)


def classes_of(net: nn.Module) -> set[type]:
    """The classes of a network's layers, its own among them."""
    return {type(module) for module in net.modules()}


def _imported(module: ModuleType) -> Iterator[str]:
    """Names of the modules that the names in a module come from."""
    for value in vars(module).values():
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str):
            yield name


def _folder(module: str) -> str:
    return module.rpartition(".")[0]
