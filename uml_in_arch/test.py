"""Testing: BasicSR's own pipeline, mended, with our networks, losses, metrics, data sets and models registered.

``python -m uml_in_arch.test -opt FILE`` writes ``results/`` in the current folder, ``basicsr/test.py`` in the project's
root.
"""

from __future__ import annotations

from pathlib import Path

import torch.distributed as dist

# importing them registers what they hold, and mends BasicSR, which therefore comes last
import uml_in_arch.archs
import uml_in_arch.data.registered
import uml_in_arch.losses
import uml_in_arch.metrics
import uml_in_arch.models
import uml_in_arch.toolbox  # noqa: F401
from uml_in_arch import cli

from basicsr.test import test_pipeline


def main(root: str | Path | None = None) -> None:
    """Test as the command line says.

    Args:
        root: Folder for ``results/``; the current one by default.

    Raises:
        UserError: Options, data or a checkpoint cannot work; nothing has been written if that shows at the start.
    """
    test_pipeline(str(root or Path.cwd()))
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    cli.run(main)
