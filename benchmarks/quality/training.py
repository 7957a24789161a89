"""One training of the bench: the project's own model and losses, fed from memory; stops at a deadline and resumes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

import uml_in_arch.archs
import uml_in_arch.losses
import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from benchmarks.quality.bank import Bank
from benchmarks.quality.options import BenchOptions
from benchmarks.quality.runs import STATE
from uml_in_arch import checkpoints, options
from uml_in_arch.data.seeding import rng_for
from uml_in_arch.errors import TrainingDivergedError
from uml_in_arch.models.umlin_model import UMLINModel


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        step: steps done.
        seconds: time spent on them, over all sessions.
        finished: whether these are all.
    """

    step: int
    seconds: float
    finished: bool


def train(
    bench: BenchOptions,
    entry: str,
    folder: Path,
    bank: Bank,
    *,
    learning_rate: float,
    steps: int,
    seed: int,
    deadline: float,
) -> tuple[UMLINModel, Progress]:
    """Train an entry, from where ``folder`` says that it stopped, until it is done or the deadline is near.

    Args:
        bench: the option file.
        entry: name of the network.
        folder: where the training state is kept; it may be carried to another machine.
        bank: the training pairs.
        learning_rate: the highest of the schedule.
        steps: length of the schedule.
        seed: of the initial weights and of the order of the batches.
        deadline: `time.monotonic` at which to stop; the state is saved then.

    Raises:
        TrainingDivergedError: the numbers exploded.
    """
    torch.manual_seed(seed)
    model = UMLINModel(_model_options(bench, entry, folder, learning_rate, steps))
    if bench.protocol.channels_last:
        model.net_g.to(memory_format=torch.channels_last)
    step, seconds = _resume(model, folder / STATE)
    start = saved = time.monotonic()
    bar = tqdm(total=steps, initial=step, desc=f"{entry}, lr {learning_rate:g}, seed {seed}", unit="step", disable=None)
    while step < steps and time.monotonic() < deadline:
        step += 1
        model.update_learning_rate(step, warmup_iter=model.opt["train"].get("warmup_iter", -1))
        blur, sharp = bank.batch(bench.protocol.batch, bench.protocol.crop, rng_for(seed, "batch", step))
        if bench.protocol.channels_last:
            blur = blur.contiguous(memory_format=torch.channels_last)
        model.feed_data({"lq": blur, "gt": sharp})
        model.optimize_parameters(step)
        bar.update()
        if time.monotonic() - saved > bench.save_every:
            saved = time.monotonic()
            _save(model, folder / STATE, step, seconds + saved - start)
            bar.set_postfix({name: f"{float(value):.4g}" for name, value in model.log_dict.items()})
            logging.getLogger(__name__).info("%s: step %d, %s", entry, step, dict(model.log_dict))
    bar.close()
    seconds += time.monotonic() - start
    _save(model, folder / STATE, step, seconds)
    return model, Progress(step, seconds, step >= steps)


def trained(model: UMLINModel) -> nn.Module:
    """The network to score: the averaged one, if the protocol averages."""
    return getattr(model, "net_g_ema", model.net_g)


def _model_options(bench: BenchOptions, entry: str, folder: Path, learning_rate: float, steps: int) -> dict[str, Any]:
    own = bench.entries[entry]
    train = options.merge(bench.protocol.train, own.train)
    train = options.merge(train, {"total_iter": steps, "optim_g": {"lr": learning_rate}})
    if train["scheduler"]["type"] == "CosineAnnealingRestartLR":
        train = options.merge(train, {"scheduler": {"periods": [steps], "restart_weights": [1]}})
    return {
        "name": entry,
        "is_train": True,
        "dist": False,
        "rank": 0,
        "world_size": 1,
        "num_gpu": int(bench.device == "cuda"),
        "network_g": dict(own.network_g),
        "path": {
            "models": str(folder),
            "pretrain_network_g": own.pretrain_network_g,
            "strict_load_g": own.strict_load_g,
            "param_key_g": "params_ema",
        },
        "train": train,
        "val": {},
    }


def _resume(model: UMLINModel, file: Path) -> tuple[int, float]:
    if not file.is_file():
        return 0, 0.0
    state: Mapping[str, Any] = checkpoints.read(file, model.device)
    model.net_g.load_state_dict(state["params"])
    if hasattr(model, "net_g_ema"):
        model.net_g_ema.load_state_dict(state["params_ema"])
    model.optimizer_g.load_state_dict(state["optimizer"])
    for scheduler, saved in zip(model.schedulers, state["schedulers"], strict=True):
        scheduler.load_state_dict(saved)
    return state["step"], state["seconds"]


def _save(model: UMLINModel, file: Path, step: int, seconds: float) -> None:
    if not all(bool(torch.isfinite(value).all()) for value in model.net_g.parameters()):
        raise TrainingDivergedError(f"the weights at step {step} are not finite; {file} is from before")
    state = {
        "params": model.net_g.state_dict(),
        "params_ema": trained(model).state_dict(),
        "optimizer": model.optimizer_g.state_dict(),
        "schedulers": [scheduler.state_dict() for scheduler in model.schedulers],
        "step": step,
        "seconds": seconds,
    }
    with checkpoints.written_whole(file.parent) as stage:
        torch.save(state, stage / file.name)
