"""Where the bench keeps what."""

from __future__ import annotations

from pathlib import Path

from benchmarks.quality.options import BenchOptions
from uml_in_arch.compare.cache import digest

STATE = "state.pth"


def entry_folder(bench: BenchOptions, entry: str) -> Path:
    """All trainings of an entry; another protocol, bank or network has another folder, so nothing stale is taken.

    Changed code is not noticed, so that a training can go on after an update: delete the folder to start anew.
    """
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
    """The scores of a finished training."""
    return run_folder(bench, entry, seed) / "result.json"
