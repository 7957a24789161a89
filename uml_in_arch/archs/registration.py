"""Registering networks under well-known names, which a BasicSR checkout may use already."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import nn

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)

from basicsr.utils.registry import ARCH_REGISTRY

Arch = TypeVar("Arch", bound=Callable[..., nn.Module])


def register_unless_taken(arch: Arch) -> Arch:
    """Register a class or function that builds a network; if BasicSR has its own of that name, that one stays."""
    _finish_scan()
    if arch.__name__ not in ARCH_REGISTRY:
        ARCH_REGISTRY.register(arch)
    return arch


def _finish_scan() -> None:
    """Plugged in, we are imported amid BasicSR's scan of its archs, and one that comes later may want the name."""
    folder = Path(importlib.import_module("basicsr.archs").__file__).parent
    for file in folder.glob("*_arch.py"):
        importlib.import_module(f"basicsr.archs.{file.stem}")
