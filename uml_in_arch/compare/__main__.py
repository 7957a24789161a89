"""Compare networks: ``python -m uml_in_arch.compare -opt options/compare_GoPro.yml [--paper]``."""

from __future__ import annotations

import argparse
import os
import sys

# before torch: it is read when OpenMP starts (see cost.thread_environment)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from uml_in_arch import cli
from uml_in_arch.compare import options, report, runner
from uml_in_arch.compare.cost import choose_device, machine

EXIT_SOME_FAILED = 1


def main() -> int:
    """Compare as the command line says.

    Returns:
        0, or 1 if an entry failed.

    Raises:
        UserError: The options or the data cannot work; nothing has been run if that shows at the start.
    """
    parser = argparse.ArgumentParser(prog="python -m uml_in_arch.compare", description=__doc__)
    parser.add_argument("-opt", required=True, help="option file of the comparison")
    parser.add_argument("--force_yml", nargs="+", default=[], help="change options: cost:repeats=3 page:pictures=10")
    parser.add_argument("--paper", action="store_true", help="the paper's table beside ours")
    arguments = parser.parse_args()
    comparison = options.load(arguments.opt, tuple(arguments.force_yml))
    results = runner.run(comparison)
    where = machine(choose_device(comparison.device), comparison.threads)
    print(report.write(comparison, results, where, arguments.paper))
    print(f"written: {comparison.folder / 'index.html'}, table.md, table.csv, pictures.csv, crops, scatter plots")
    failed = [result.name for result in results if result.error]
    if failed:
        print(f"{len(failed)} of {len(results) - 1} entries failed: {', '.join(failed)}", file=sys.stderr)
    return EXIT_SOME_FAILED if failed else 0


if __name__ == "__main__":
    cli.run(main)
