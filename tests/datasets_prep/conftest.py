from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
import skimage.data

import uml_in_arch.toolbox  # noqa: F401  mends BasicSR

from basicsr.data.paired_image_dataset import PairedImageDataset

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]
Contents = tuple[list[tuple[bytes, bytes]], str]


@pytest.fixture
def run_script() -> Run:
    """Run a script of datasets_prep/ as a user does, from the project's root."""

    def run(script: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, f"datasets_prep/{script}", *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options)

    return run


@pytest.fixture
def contents() -> Callable[[Path], Contents]:
    """All (key, value) of an LMDB in order, and its meta_info.txt."""

    def read(folder: Path) -> Contents:
        with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
            return list(transaction.cursor()), (folder / "meta_info.txt").read_text()

    return read


@pytest.fixture
def make_gopro() -> Callable[..., Path]:
    """Write a tree with GOPRO_Large's layout: noise frames, blurred by a box."""

    def make(root: Path, splits: dict[str, int], size: tuple[int, int] = (96, 128), seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for split, frames in splits.items():
            sequence = root / split / "GOPR0384_11_00"
            for name in ("blur", "sharp"):
                (sequence / name).mkdir(parents=True, exist_ok=True)
            for number in range(1, frames + 1):
                sharp = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
                cv2.imwrite(str(sequence / "sharp" / f"{number:06d}.png"), sharp)
                cv2.imwrite(str(sequence / "blur" / f"{number:06d}.png"), cv2.blur(sharp, (1, 3)))
        return root

    return make


@pytest.fixture
def paired_dataset() -> Callable[[Path, str], PairedImageDataset]:
    """BasicSR's data set of whole pictures on FOLDER/NAME_{blur,sharp}.lmdb."""

    def open_pair(folder: Path, name: str) -> PairedImageDataset:
        return PairedImageDataset(
            {
                "dataroot_lq": str(folder / f"{name}_blur.lmdb"),
                "dataroot_gt": str(folder / f"{name}_sharp.lmdb"),
                "io_backend": {"type": "lmdb"},
                "phase": "val",
                "scale": 1,
            }
        )

    return open_pair


@pytest.fixture
def photographs() -> list[np.ndarray]:
    """Four parts of scikit-image's photographs, 256 x 256 BGR."""
    astronaut, coffee = skimage.data.astronaut()[..., ::-1], skimage.data.coffee()[..., ::-1]
    return [astronaut[:256, :256], astronaut[:256, 256:], coffee[:256, :256], coffee[100:356, 200:456]]
