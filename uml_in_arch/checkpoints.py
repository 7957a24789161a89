"""Checkpoint files: reading them safely, comparing them with a network, writing them whole or not at all."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uml_in_arch.errors import CheckpointError

# where BasicSR, MPRNet and MIMO-UNet keep the weights in their published files
_WEIGHT_KEYS = ("params", "params_ema", "state_dict", "model")


def read(path: str | Path, device: str | torch.device = "cpu") -> Any:
    """Load a file that `torch.save` wrote: tensors and plain data only, never other Python objects.

    Raises:
        CheckpointError: The file is missing, broken, or holds anything else.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint; correct the path")
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        refused = "weights only" in str(error).lower() and zipfile.is_zipfile(path)
        reason = "holds more than tensors and plain data" if refused else "is broken or is no PyTorch checkpoint"
        raise CheckpointError(f"{path}: the file {reason}; use another one") from error


def weights_of(content: Any, param_key: str | None, path: str | Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint's content.

    It is the one under ``param_key``; if there is none, the one under a key that publishers use, ``params`` first, as
    in BasicSR; or the content itself. The prefix ``module.`` of a network that was saved in its wrapper is removed.

    Raises:
        CheckpointError: There is no state dict.
    """
    candidates = [content]
    if isinstance(content, Mapping):
        candidates = [content[key] for key in (param_key, *_WEIGHT_KEYS) if key in content] + candidates
    weights = next(filter(_is_state_dict, candidates), None)
    if weights is None:
        found = ", ".join(map(str, list(content)[:4])) if isinstance(content, Mapping) else type(content).__name__
        raise CheckpointError(
            f"{path}: no weights under {param_key!r}, the file starts with: {found}; set path.param_key_g to the key "
            "that holds them, or to ~ if the file is a bare state dict"
        )
    return {name.removeprefix("module."): value for name, value in weights.items()}


def _is_state_dict(candidate: Any) -> bool:
    return isinstance(candidate, Mapping) and all(isinstance(value, Tensor) for value in candidate.values())


def refuse_mismatch(net: nn.Module, weights: Mapping[str, Tensor], path: str | Path, strict: bool = True) -> None:
    """Compare a checkpoint's keys and shapes with a network's; if not ``strict``, at least one key must fit.

    A network that was published in several layouts has a method ``fit_weights``, see `DeblurGAN`; it is called first.

    Raises:
        CheckpointError: They differ.
    """
    weights = net.fit_weights(weights) if hasattr(net, "fit_weights") else weights
    own = net.state_dict()
    missing = [key for key in own if key not in weights]
    unexpected = [key for key in weights if key not in own]
    reshaped = [key for key in own if key in weights and own[key].shape != weights[key].shape]
    fitting = len(own) - len(missing) - len(reshaped)
    if (not strict and fitting) or not (missing or unexpected or reshaped):
        return
    example = (missing + unexpected + reshaped)[0]
    if example in reshaped:
        example += f" is {tuple(weights[example].shape)}, {tuple(own[example].shape)} expected"
    raise CheckpointError(
        f"{path}: these are not weights of {type(net).__name__} with these options: {len(missing)} keys missing, "
        f"{len(unexpected)} unexpected, {len(reshaped)} of another shape, {fitting} fit (for example {example}); "
        "use its own checkpoint or the options it was trained with"
    )


@contextmanager
def written_whole(folder: str | Path) -> Iterator[Path]:
    """A folder to write checkpoints into, which then replace those of the same names in ``folder``.

    A killed process leaves the old files as they were, and a folder ``.saving`` that the next call removes.

    Raises:
        CheckpointError: No whole file came out; the old ones are intact.
    """
    stage = Path(folder) / ".saving"
    shutil.rmtree(stage, ignore_errors=True)
    try:
        stage.mkdir(parents=True)
        yield stage
        files = [file for file in sorted(stage.iterdir()) if zipfile.is_zipfile(file)]
        if not files:
            raise CheckpointError(f"{folder}: could not write a checkpoint; is the disk full? The old ones are intact")
        for file in files:
            _flush(file)
            os.replace(file, Path(folder) / file.name)
        _flush(Path(folder))
    except OSError as error:
        raise CheckpointError(f"{folder}: could not write a checkpoint ({error.strerror}); make room there") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
