"""What the networks of a bench cost: measured in one process of their own, in turns, so that only they differ."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, TypedDict

import torch

import uml_in_arch.archs  # noqa: F401  (registers the networks)
from benchmarks.quality.options import BenchOptions, load
from uml_in_arch import cli
from uml_in_arch.allocator import keep_freed_memory
from uml_in_arch.compare.cost import count_operations, latencies, noise, thread_environment
from uml_in_arch.compare.options import CostOptions
from uml_in_arch.errors import UserError

from basicsr.archs import build_network

TIMING = CostOptions(size=(256, 256), warm_up=3, repeats=25)


class NetworkCost(TypedDict):
    """Of one network, batch size 1, 256x256.

    Keys:
        parameters: their number.
        gmacs: 1e9 multiply-accumulates.
        uses_fft: Fourier transforms, which ``gmacs`` leaves out.
        latency: median seconds.
    """

    parameters: int
    gmacs: float
    uses_fft: bool
    latency: float


def network_costs(
    option_file: str, force_yml: Sequence[str], entries: Sequence[str], threads: int
) -> dict[str, NetworkCost]:
    """The costs of some entries of a bench, measured now with so many CPU threads.

    Raises:
        UserError: The process failed; it has said why.
    """
    job = json.dumps({"opt": option_file, "force_yml": list(force_yml), "entries": list(entries)})
    command = [sys.executable, "-m", "benchmarks.quality.costs", job]
    done = subprocess.run(command, env=thread_environment(threads), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise UserError("The costs of the networks could not be measured; the trainings are kept")
    return json.loads(done.stdout.splitlines()[-1])


def _measure(bench: BenchOptions, entries: Sequence[str]) -> dict[str, NetworkCost]:
    torch.set_num_threads(bench.threads)
    device = torch.device(bench.device)
    picture = noise(TIMING, device)
    nets = {name: build_network(dict(bench.entries[name].network_g)).eval().to(device) for name in entries}
    if bench.protocol.channels_last:
        picture = picture.contiguous(memory_format=torch.channels_last)
        for net in nets.values():
            net.to(memory_format=torch.channels_last)
    with torch.no_grad():
        seconds = latencies([partial(net, picture) for net in nets.values()], TIMING, device)
        return {name: _cost(net, device, latency) for (name, net), latency in zip(nets.items(), seconds, strict=True)}


def _cost(net: torch.nn.Module, device: torch.device, latency: float) -> NetworkCost:
    gmacs, uses_fft = count_operations(net, device)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return NetworkCost(parameters=parameters, gmacs=gmacs, uses_fft=uses_fft, latency=latency)


def main() -> None:
    """Measure what the JSON argument says and print the result as JSON."""
    keep_freed_memory()
    job: dict[str, Any] = json.loads(sys.argv[1])
    print(json.dumps(_measure(load(job["opt"], tuple(job["force_yml"])), job["entries"])))


if __name__ == "__main__":
    cli.run(main)
