"""Launcher: `python basicsr/train.py -opt options/FILE.yml`, installed or not. All else is in uml_in_arch.train.

This folder must not have an `__init__.py`: it would hide the installed BasicSR.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)
# before torch: threads that wait must sleep, spinning ones slow a busy machine down several times
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# not under the guard below: loader processes that import this file again need the mended BasicSR
from uml_in_arch import cli, train  # noqa: E402

if __name__ == "__main__":
    cli.run(lambda: train.main(ROOT))
