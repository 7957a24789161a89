"""What ``train.memory_saving`` saves, and the time it takes: training steps of the shipped options' networks.

Run from the project's root: ``python benchmarks/training_memory.py``, with ``--device cuda`` on a GPU. Every figure is
from a process of its own; memory is the most above what the process had before the network was built.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from statistics import median

import torch

import uml_in_arch.archs  # noqa: F401  (registers the networks)
from uml_in_arch import options
from uml_in_arch.cli import run
from uml_in_arch.compare.cost import PeakMemory

from basicsr.archs import build_network

NETWORKS = {"UMLIN": "options/train_UMLIN_GoPro.yml", "UMLINPlus": "options/train_UMLINPlus_GoPro.yml"}
STEPS = 4  # the first is not timed


def main() -> None:
    """Print a line for each network, without and with memory saving."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--crop", type=int, default=128, help="side of the crops in pixels")
    parser.add_argument("--batch", type=int, default=2, help="crops of a step")
    arguments = parser.parse_args()
    print(f"{arguments.batch} crops of {arguments.crop} px, float32, {arguments.device}: MiB and seconds of a step")
    print("network      plain MiB  saving MiB         plain s  saving s")
    for name, file in NETWORKS.items():
        measure = partial(_measure, file, arguments.device, arguments.crop, arguments.batch)
        (plain, plain_time), (saving, saving_time) = (_in_new_process(measure, way) for way in (False, True))
        memory = f"{plain:9.0f}   {saving:9.0f} ({saving / plain:4.2f})"
        seconds = f"{plain_time:7.2f}   {saving_time:7.2f} ({saving_time / plain_time:4.2f})"
        print(f"{name:12s} {memory}  {seconds}", flush=True)


def _in_new_process(measure: partial[tuple[float, float]], memory_saving: bool) -> tuple[float, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(measure, memory_saving).result()


def _measure(file: str, device_name: str, crop: int, batch: int, memory_saving: bool) -> tuple[float, float]:
    """MiB and median seconds of training steps with all latents, as the hybrid loss needs them."""
    torch.manual_seed(0)
    device = torch.device(device_name)
    memory = PeakMemory(device)
    net = build_network(dict(options.load(file)["network_g"])).to(device)
    net.save_memory(memory_saving)
    blur, sharp = torch.rand(2, batch, 3, crop, crop, device=device)
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        net.zero_grad()
        output = net(blur, sharp)
        latents = (*output.latents_blur.tensors(), *output.latents_sharp.tensors())
        ((output.deblurred - sharp).abs().mean() + sum(z.abs().mean() for z in latents)).backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return memory.mib(), median(seconds[1:])


if __name__ == "__main__":
    run(main)
