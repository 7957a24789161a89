"""Parameters, multiply-accumulates, latency and memory of a network or method on this machine."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from uml_in_arch.compare.options import CostOptions
from uml_in_arch.compare.results import Cost
from uml_in_arch.methods import PerImageMethod

GMACS_SIDE = 256
_MIB = 2**20


class PeakMemory:
    """Memory of this process above what it has now: of the GPU's tensors, or of the whole process on a CPU.

    Only Linux tells a process its own peak; start one process for each network that is measured.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before = self._status("VmRSS") if device.type == "cpu" else torch.cuda.memory_allocated(device)

    def mib(self) -> float:
        """The highest value so far, in MiB."""
        on_cpu = self.device.type == "cpu"
        peak = self._status("VmHWM") if on_cpu else torch.cuda.max_memory_allocated(self.device)
        return (peak - self.before) / _MIB

    @staticmethod
    def _status(key: str) -> int:
        """Bytes; the kernel resets VmHWM at exec, unlike getrusage's ru_maxrss, which starts at the parent's peak."""
        return int(re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def measure(
    net: nn.Module, restorer: Callable[[Tensor], Tensor], options: CostOptions, device: torch.device, memory: PeakMemory
) -> Cost:
    """Time a network on noise, batch size 1, and count what it computes.

    Args:
        net: in eval mode, on ``device``; its parameters and multiply-accumulates are counted.
        restorer: the network with its padding or tiles; this is what is timed.
        options: see there.
        device: where.
        memory: made before the network was built.
    """
    picture = noise(options, device)
    with torch.no_grad():
        (latency,) = latencies([lambda: restorer(picture)], options, device)
        peak = memory.mib()
        gmacs, uses_fft = count_operations(net, device)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Cost(parameters, gmacs, uses_fft, latency, peak)


def measure_method(method: PerImageMethod, options: CostOptions, device: torch.device, memory: PeakMemory) -> Cost:
    """Time some iterations of a per-image method on noise, and count what the first one computes.

    All of a method's iterations could take hours, so latency and multiply-accumulates are those of one times their
    number.

    Args:
        method: a built one.
        options: ``warm_up`` and ``repeats`` are iterations here.
        device: where.
        memory: made before the method was built.
    """
    repeats = min(options.repeats, method.iterations)
    warm_up = min(options.warm_up, method.iterations - repeats)
    with torch.enable_grad():
        estimates = method.estimates(noise(options, device))
        fewer = options.model_copy(update={"repeats": repeats, "warm_up": warm_up})
        (latency,) = latencies([lambda: next(estimates)], fewer, device)
        peak = memory.mib()
        gmacs, uses_fft = count_operations(lambda image: next(method.estimates(image)), device)
    count = method.iterations
    return Cost(method.parameters(), None if gmacs is None else gmacs * count, uses_fft, latency * count, peak, count)


def noise(options: CostOptions, device: torch.device) -> Tensor:
    """The picture that networks are timed on, (1, 3, H, W)."""
    return torch.rand(1, 3, *options.size, generator=torch.Generator().manual_seed(0)).to(device)


def latencies(calls: Sequence[Callable[[], object]], options: CostOptions, device: torch.device) -> list[float]:
    """Median seconds of each call. They take turns, so whatever else the machine does meets all of them alike."""
    seconds = []
    for _ in range(options.warm_up + options.repeats):
        turn = []
        for call in calls:
            start = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            turn.append(time.perf_counter() - start)
        seconds.append(turn)
    return [median(own) for own in zip(*seconds[options.warm_up :], strict=True)]


def count_operations(function: Callable[[Tensor], object], device: torch.device) -> tuple[float | None, bool]:
    """1e9 multiply-accumulates at 256x256, None if the function does not take that size; and whether it has FFTs."""
    operations = _Operations()
    counter = FlopCounterMode(display=False)
    try:
        with operations, counter:
            function(torch.rand(1, 3, GMACS_SIDE, GMACS_SIDE, device=device))
    except Exception:
        return None, operations.any_fft
    return counter.get_total_flops() / 2e9, operations.any_fft


class _Operations(TorchDispatchMode):
    """Notices Fourier transforms, which torch's counter knows nothing of."""

    any_fft = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.any_fft = self.any_fft or "_fft_" in str(function)
        return function(*args, **(kwargs or {}))


def choose_device(wanted: str) -> torch.device:
    """``auto`` is the GPU that PyTorch finds, or else the CPU."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def thread_environment(threads: int | None) -> dict[str, str]:
    """Environment for a process that computes on a CPU.

    OpenMP's threads spin while they wait by default. If other programs need the cores at the same time, the spinning
    threads take them from those that compute, and a network can seem several times slower than it is; so they sleep.
    """
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    return environment


def machine(device: torch.device, threads: int | None) -> str:
    """The processor and what runs on it, in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}"
    used = threads or torch.get_num_threads()
    return f"{_processor()}, {used} of {os.cpu_count()} threads, PyTorch {torch.__version__}"


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.machine()
