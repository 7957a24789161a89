"""The process of one training: its peak memory is its own, and a crash costs one row."""

from __future__ import annotations

import json
import logging
import sys
import time

import torch

from benchmarks.quality import scoring
from benchmarks.quality.bank import Bank, open_bank
from benchmarks.quality.options import BenchOptions, load
from benchmarks.quality.runs import STATE, entry_folder, result_file, run_folder
from benchmarks.quality.training import train, trained
from uml_in_arch import cli
from uml_in_arch.allocator import keep_freed_memory
from uml_in_arch.compare.cache import read_json, write_json
from uml_in_arch.compare.cost import PeakMemory
from uml_in_arch.errors import TrainingDivergedError

TUNING_PICTURES = 10  # of each validation set, to choose a learning rate by


def main() -> None:
    """Train and score one entry with one seed, as the JSON argument says; the result is written when it is done."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("basicsr").setLevel(logging.ERROR)
    keep_freed_memory()
    job = json.loads(sys.argv[1])
    deadline = time.monotonic() + job["budget"]
    bench = load(job["opt"], tuple(job["force_yml"]))
    entry, seed = job["entry"], job["seed"]
    torch.set_num_threads(bench.threads)
    folder = run_folder(bench, entry, seed)
    bank = open_bank(bench)

    learning_rate = _learning_rate(bench, entry, bank, deadline)
    if learning_rate is None:
        return
    memory = PeakMemory(torch.device(bench.device))
    model, progress = train(
        bench,
        entry,
        folder,
        bank,
        learning_rate=learning_rate,
        steps=bench.protocol.train["total_iter"],
        seed=seed,
        deadline=deadline,
    )
    peak = memory.mib()
    if not progress.finished:
        return
    result = {
        "learning_rate": learning_rate,
        "step": progress.step,
        "training_seconds": progress.seconds,
        "training_mib": peak,
        "scores": scoring.score(bench, trained(model)),
    }
    write_json(result_file(bench, entry, seed), result)


def _learning_rate(bench: BenchOptions, entry: str, bank: Bank, deadline: float) -> float | None:
    """The best of the grid after short trainings, by mean PSNR; None if the deadline came first."""
    protocol = bench.protocol
    if not protocol.tuning_steps or len(protocol.learning_rates) == 1:
        return protocol.learning_rates[0]
    folder = entry_folder(bench, entry)
    file = folder / "tuning.json"
    found: dict[str, float] = read_json(file) or {}
    for learning_rate in protocol.learning_rates:
        if str(learning_rate) in found:
            continue
        place = folder / f"tuning_{learning_rate:g}"
        try:
            model, progress = train(
                bench,
                entry,
                place,
                bank,
                learning_rate=learning_rate,
                steps=protocol.tuning_steps,
                seed=protocol.seeds[0],
                deadline=deadline,
            )
        except TrainingDivergedError:
            found[str(learning_rate)] = 0.0
            continue
        if not progress.finished:
            return None
        scores = scoring.score(bench, trained(model), ("PSNR",), TUNING_PICTURES)
        found[str(learning_rate)] = sum(rows[scoring.DEBLURRED]["PSNR"] for rows in scores.values()) / len(scores)
        write_json(file, found)
        (place / STATE).unlink()
    return float(max(found, key=found.get))


if __name__ == "__main__":
    cli.run(main)
