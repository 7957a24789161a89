"""The process of one entry: measures its cost, then restores and scores. Started by `runner`, told what on stdin.

A process of its own keeps its peak memory apart from the others', and a crash or a kill for memory to one row.
"""

from __future__ import annotations

import json
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from uml_in_arch import __version__
from uml_in_arch.cli import one_line
from uml_in_arch.compare import cache, evaluation
from uml_in_arch.compare.cost import PeakMemory, choose_device, machine, measure
from uml_in_arch.compare.options import Comparison, EntryOptions
from uml_in_arch.compare.results import Cost
from uml_in_arch.errors import UserError

Send = Callable[[dict[str, Any]], None]


def main() -> None:
    """Read ``{"comparison": ..., "entry": name}`` from stdin; write one JSON object per line to stdout."""
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
    net = evaluation.build(entry, device)
    failure = None
    if entry.path.pretrain_network_g:
        try:
            evaluation.load_weights(net, entry)
        except UserError as error:  # what it would cost is known all the same
            failure = error
    send({"cost": asdict(_cost(comparison, entry, net, device, memory))})
    if failure is not None:
        raise failure
    if entry.path.pretrain_network_g:
        run = evaluation.restorer(net, entry.val)
        folder = evaluation.cached_folder(comparison, entry)
        for scored in evaluation.evaluate(comparison, run, folder, device, lambda text: send({"note": text})):
            send({"scored": asdict(scored)})


def _cost(
    comparison: Comparison, entry: EntryOptions, net: torch.nn.Module, device: torch.device, memory: PeakMemory
) -> Cost:
    options = [entry.network_g.model_dump(), entry.val.model_dump(), comparison.cost.model_dump()]
    # the layers too: a checkpoint may change them
    layers = {name: list(value.shape) for name, value in net.state_dict().items()}
    key = cache.digest(*options, layers, machine(device, comparison.threads), __version__)
    file = comparison.folder / "cost" / f"{cache.file_name(entry.network_g.type)}_{key}.json"
    known = cache.read_json(file)
    if known is not None:
        return Cost(**known)
    cost = measure(net, evaluation.restorer(net, entry.val), comparison.cost, device, memory)
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
