"""Fixtures that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import make_options

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tiny_options(tmp_path: Path) -> dict[str, Any]:
    """See `make_options`."""
    return make_options(tmp_path)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For processes: ours importable though not installed, one thread each."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run(environment: dict[str, str]) -> Run:
    """Run Python with arguments in a folder; returns its exit status and output."""

    def run_python(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run_python
