"""Where the bench keeps what."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.quality.options import BenchOptions

STATE = "state.pth"


def digest(*parts: Any) -> str:
    """Twelve hexadecimal digits for plain data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def entry_folder(bench: BenchOptions, entry: str) -> Path:
    """All trainings of an entry; another protocol, bank or network has another folder, so nothing stale is taken."""
    common = bench.model_dump(include={"photographs": True, "bank": True, "protocol": True})
    del common["bank"]["workers"], common["protocol"]["seeds"]
    return bench.folder / entry / digest(common, bench.entries[entry].model_dump())


def run_folder(bench: BenchOptions, entry: str, seed: int) -> Path:
    """The training of an entry with a seed: its state while it runs, its result when it is done."""
    return entry_folder(bench, entry) / f"seed{seed}"


def state_file(bench: BenchOptions, entry: str, seed: int) -> Path:
    """Weights, optimiser and schedule of a training, as far as it is."""
    return run_folder(bench, entry, seed) / STATE


def result_file(bench: BenchOptions, entry: str, seed: int) -> Path:
    """The scores and costs of a finished training."""
    return run_folder(bench, entry, seed) / "result.json"


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    stage = file.with_name(f".{file.name}")
    stage.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(stage, file)
