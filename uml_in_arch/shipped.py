"""Files that come with uml_in_arch beside its code."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def options() -> Path:
    """The folder of the option files."""
    return _folder("options", "option_files")


def weights() -> Path:
    """The folder of the trained weights and of the option files that say what networks they belong to."""
    return _folder("weights", "weight_files")


def _folder(in_checkout: str, in_wheel: str) -> Path:
    """In a wheel they lie inside the package, in a checkout of ours beside it."""
    package = Path(str(files("uml_in_arch")))
    inside = package / in_wheel
    return inside if inside.is_dir() else package.parent / in_checkout
