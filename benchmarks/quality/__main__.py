"""Which network deblurs best at equal cost: trains a list of networks under one protocol and writes one table.

Run from the project's root:

    python -m benchmarks.quality -opt benchmarks/quality/cpu.yml

It prints the table and writes it to table.md in the results folder; times are measured then, all networks in turns.
Run it again to go on where it stopped; after ``--budget`` minutes it stops by itself with everything saved, and the
results folder may be carried to another machine.
``--only`` trains some of the networks, so that several commands can share the cores of one machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from benchmarks.quality.bank import make_bank
from benchmarks.quality.costs import network_costs
from benchmarks.quality.options import load
from benchmarks.quality.runs import result_file
from benchmarks.quality.table import finished_runs, markdown
from uml_in_arch import cli
from uml_in_arch.compare.cost import thread_environment
from uml_in_arch.errors import OptionError
from uml_in_arch.options import did_you_mean


def main() -> int:
    """Train what is not trained yet, then show the table; 1 if a training failed."""
    description, _, epilog = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-opt", required=True, help="the option file")
    parser.add_argument("--force_yml", nargs="+", default=[], help="a:b=value each, over the option file")
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="train these only")
    parser.add_argument("--budget", type=float, metavar="MINUTES", help="stop after so many minutes")
    arguments = parser.parse_args()
    bench = load(arguments.opt, tuple(arguments.force_yml))
    names = arguments.only or list(bench.entries)
    unknown = next((name for name in names if name not in bench.entries), None)
    if unknown:
        raise OptionError(f"--only {unknown}: there is no such entry{did_you_mean(unknown, bench.entries)}")
    deadline = time.monotonic() + 60 * arguments.budget if arguments.budget else float("inf")

    make_bank(bench)
    failed = 0
    for seed in bench.protocol.seeds:
        for name in names:
            left = deadline - time.monotonic()
            if result_file(bench, name, seed).is_file() or left <= 0:
                continue
            job = {"opt": arguments.opt, "force_yml": arguments.force_yml, "entry": name, "seed": seed}
            job["budget"] = min(left, 1e9)
            command = [sys.executable, "-m", "benchmarks.quality.worker", json.dumps(job)]
            failed += subprocess.run(command, env=thread_environment(bench.threads), check=False).returncode != 0
    runs = finished_runs(bench)
    costs = network_costs(arguments.opt, arguments.force_yml, list(runs), bench.threads) if runs else {}
    text = markdown(bench, runs, costs)
    (bench.folder / "table.md").write_text(text, encoding="utf-8")
    print(text)
    return int(failed > 0)


if __name__ == "__main__":
    cli.run(main)
