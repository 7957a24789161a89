"""Preparing data must not wait for torch."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["blur", "scene_blur", "kernels", "seeding", "photographs"])
def test_blur_and_pictures_import_neither_torch_nor_basicsr(module: str) -> None:
    code = f"import sys, uml_in_arch.data.{module}; sys.exit(any(name in sys.modules for name in ('torch', 'basicsr')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
