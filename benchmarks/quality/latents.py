"""How the latents of trained UML-IN networks are distributed: histograms, and how many of them are near zero.

    python -m benchmarks.quality.latents -opt benchmarks/quality/ablation.yml --figure docs/latents.png

It needs matplotlib. "Near zero" is below a tenth of the root mean square of the same level: L1 also makes all latents
smaller, which says nothing about how few of them carry the picture. Of Gaussian numbers 8% are near zero, of Laplacian
ones 13%.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

import uml_in_arch.archs
import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from benchmarks.quality.bank import validation_pairs
from benchmarks.quality.options import BenchOptions, load
from benchmarks.quality.runs import result_file, state_file
from benchmarks.quality.table import table_lines
from uml_in_arch import checkpoints, cli
from uml_in_arch.archs.two_branch import TwoBranchFlow
from uml_in_arch.errors import DataError, OptionError

from basicsr.archs import build_network

NEAR_ZERO = 0.1  # of the root mean square
PICTURES = 10
BINS = 201
RANGE = 4.0  # of the histograms, in root mean squares

Levels = dict[str, Tensor]
"""Level to all latents of it, one flat tensor."""


def main() -> None:
    """Print the table and write the figure, as the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality.latents",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-opt", required=True, help="the option file of the bench; its finished trainings are shown")
    parser.add_argument("--force_yml", nargs="+", default=[], help="as for the training")
    parser.add_argument("--validation", default="medium", help="the validation set whose blurry pictures are encoded")
    parser.add_argument("--figure", type=Path, help="a picture of the histograms")
    arguments = parser.parse_args()
    bench = load(arguments.opt, tuple(arguments.force_yml))
    if arguments.validation not in bench.validation:
        raise OptionError(f"--validation {arguments.validation}: choose from {', '.join(bench.validation)}")
    found = {name: latents_of(net, bench, arguments.validation) for name, net in _networks(bench)}
    if not found:
        raise DataError(f"No training of a UML-IN network in {bench.folder} is finished: run the bench first")
    print(table(found))
    if arguments.figure:
        draw(found, arguments.figure)


def latents_of(net: TwoBranchFlow, bench: BenchOptions, validation: str) -> Levels:
    """What the blur branch makes of a few pictures of a validation set."""
    parts: dict[str, list[Tensor]] = {}
    for _, blur, _ in islice(validation_pairs(bench, validation), PICTURES):
        with torch.no_grad():
            latents = net.encode(blur, "blur")
        names = [*(f"z_{level}" for level in range(1, len(latents.details) + 1)), "base"]
        for name, values in zip(names, latents.tensors(), strict=True):
            parts.setdefault(name, []).append(values.flatten())
    return {level: torch.cat(values) for level, values in parts.items()}


def near_zero(values: Tensor) -> float:
    """Share of numbers below a tenth of their root mean square."""
    return float((values.abs() < NEAR_ZERO * _rms(values)).double().mean())


def table(found: dict[str, Levels]) -> str:
    """Markdown: per network and level the root mean square, and the share near zero."""
    rows = [
        {"network": name} | {level: f"{_rms(values):.3f}, {near_zero(values):.0%}" for level, values in latents.items()}
        for name, latents in found.items()
    ]
    return "\n".join(table_lines(rows))


def draw(found: dict[str, Levels], file: Path) -> None:
    """Histograms of all networks, one panel for each level, over latents in root mean squares; log densities."""
    levels = list(next(iter(found.values())))
    figure = Figure(figsize=(3.2 * len(levels), 4.2), layout="constrained")
    panels = figure.subplots(1, len(levels), sharey=True, squeeze=False)[0]
    for panel, level in zip(panels, levels, strict=True):
        for name, latents in found.items():
            scaled = latents[level] / _rms(latents[level])
            density = torch.histogram(scaled, BINS, range=(-RANGE, RANGE), density=True)
            middles = (density.bin_edges[1:] + density.bin_edges[:-1]) / 2
            panel.semilogy(middles, density.hist, label=name, linewidth=1)
        panel.set(title=level, xlabel="latent / rms", ylim=(1e-3, 30))
    panels[0].set_ylabel("density")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _networks(bench: BenchOptions) -> Iterator[tuple[str, TwoBranchFlow]]:
    """The finished UML-IN networks, with averaged weights."""
    seed = bench.protocol.seeds[0]
    for name, entry in bench.entries.items():
        if not result_file(bench, name, seed).is_file():
            continue
        net = build_network(dict(entry.network_g)).eval()
        if isinstance(net, TwoBranchFlow):
            net.load_state_dict(checkpoints.read(state_file(bench, name, seed))["params_ema"])
            yield name, net


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


if __name__ == "__main__":
    cli.run(main)
