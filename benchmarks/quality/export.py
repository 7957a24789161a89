"""Writes the averaged weights of a finished training, and nothing else, as a BasicSR checkpoint.

python -m benchmarks.quality.export -opt benchmarks/quality/motion.yml --target weights/umlinplus_motion.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.quality.options import load
from benchmarks.quality.runs import state_file
from uml_in_arch import checkpoints, cli


def main() -> None:
    """Export as the command line says; a training that is not finished is exported as it is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.export", description=__doc__.splitlines()[0])
    parser.add_argument("-opt", required=True, help="the option file of the bench; its reference entry is exported")
    parser.add_argument("--force_yml", nargs="+", default=[], help="as for the training")
    parser.add_argument("--target", required=True, type=Path, help="the checkpoint to write")
    arguments = parser.parse_args()
    bench = load(arguments.opt, tuple(arguments.force_yml))
    state = checkpoints.read(state_file(bench, bench.reference, bench.protocol.seeds[0]))
    weights = {name: value.contiguous() for name, value in state["params_ema"].items()}
    with checkpoints.written_whole(arguments.target.parent) as stage:
        torch.save({"params_ema": weights}, stage / arguments.target.name)
    size = arguments.target.stat().st_size / 2**20
    print(f"{arguments.target}: step {state['step']} of {bench.protocol.train['total_iter']}, {size:.1f} MiB")


if __name__ == "__main__":
    cli.run(main)
