"""The process of one entry: measures its cost, then restores and scores. Started by `runner`, told what on stdin.

A process of its own keeps its peak memory apart from the others', and a crash or a kill for memory to one row.
"""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from uml_in_arch.allocator import keep_freed_memory
from uml_in_arch.cli import one_line
from uml_in_arch.compare import cache, evaluation
from uml_in_arch.compare.cost import PeakMemory, choose_device, machine, measure, measure_method
from uml_in_arch.compare.options import Comparison, EntryOptions
from uml_in_arch.compare.results import Cost
from uml_in_arch.errors import UserError
from uml_in_arch.methods import PerImageMethod

Send = Callable[[dict[str, Any]], None]

_SECONDS_BETWEEN_ITERATIONS = 0.5


def main() -> None:
    """Read ``{"comparison": ..., "entry": name}`` from stdin; write one JSON object per line to stdout."""
    keep_freed_memory()
    send = _private_stdout()
    with os.fdopen(os.dup(0), "rb", buffering=0) as stdin:
        job = json.loads(stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    comparison = Comparison.model_validate(job["comparison"])
    if comparison.threads is not None:
        torch.set_num_threads(comparison.threads)
    try:
        _run(comparison, comparison.entries[job["entry"]], send)
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        send({"error": _reason(error)})
    send({"end": True})


def _run(comparison: Comparison, entry: EntryOptions, send: Send) -> None:
    device = choose_device(comparison.device)
    memory = PeakMemory(device)
    subject = evaluation.build(entry, device) if entry.method is None else evaluation.build_method(entry.method)
    failure = None
    if entry.path.pretrain_network_g:
        try:
            evaluation.load_weights(subject, entry)
        except UserError as error:  # what it would cost is known all the same
            failure = error
    send({"cost": asdict(_cost(comparison, entry, subject, device, memory))})
    if failure is not None:
        raise failure
    if entry.restores:
        run = _restorer(entry, subject, send)
        folder = evaluation.cached_folder(comparison, entry, subject)
        for scored in evaluation.evaluate(comparison, run, folder, device, lambda text: send({"note": text})):
            send({"scored": asdict(scored)})


def _restorer(entry: EntryOptions, subject: nn.Module | PerImageMethod, send: Send) -> evaluation.Restorer:
    """What restores a picture; a per-image method says now and then how far it is."""
    if not isinstance(subject, PerImageMethod):
        return evaluation.restorer(subject, entry.val)
    said = time.monotonic()

    def progress(done: int) -> None:
        nonlocal said
        if time.monotonic() - said >= _SECONDS_BETWEEN_ITERATIONS:
            said = time.monotonic()
            send({"iteration": [done, subject.iterations]})

    return lambda image: subject.restore(image, progress)


def _cost(
    comparison: Comparison,
    entry: EntryOptions,
    subject: nn.Module | PerImageMethod,
    device: torch.device,
    memory: PeakMemory,
) -> Cost:
    known_by = [*evaluation.identity(entry, subject), comparison.cost.model_dump()]
    if isinstance(subject, nn.Module):  # the layers too: a checkpoint may change them
        known_by.append({name: list(value.shape) for name, value in subject.state_dict().items()})
    key = cache.digest(*known_by, machine(device, comparison.threads))
    file = comparison.folder / "cost" / f"{cache.file_name(entry.arch)}_{key}.json"
    known = cache.read_json(file)
    if known is not None:
        return Cost(**known)
    if isinstance(subject, PerImageMethod):
        cost = measure_method(subject, comparison.cost, device, memory)
    else:
        cost = measure(subject, evaluation.restorer(subject, entry.val), comparison.cost, device, memory)
    cache.write_json(file, asdict(cost))
    return cost


def _reason(error: Exception) -> str:
    text = one_line(error)
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"[:300]


def _private_stdout() -> Send:
    """Keep stdout for our messages: whatever else prints there goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    return send


def _end_with_parent() -> None:
    """The parent keeps stdin open as long as it lives, even if it is killed."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
