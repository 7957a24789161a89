"""Training: BasicSR's own pipeline, mended, with our networks, losses, metrics, data sets and models registered.

``python -m uml_in_arch.train -opt FILE`` writes ``experiments/`` in the current folder, ``basicsr/train.py`` in the
project's root.
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
from uml_in_arch.progress import TrainingBar

from basicsr.train import train_pipeline


def main(root: str | Path | None = None) -> None:
    """Train as the command line says.

    Args:
        root: Folder for ``experiments/`` and ``tb_logger/``; the current one by default.

    Raises:
        UserError: Options, data or a checkpoint cannot work; nothing has been written if that shows at the start.
    """
    try:
        train_pipeline(str(root or Path.cwd()))
    finally:
        TrainingBar.close()
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    cli.run(main)
