"""Scores of a validation run, gathered over ranks, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, Subset

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)

from basicsr.metrics import calculate_metric
from basicsr.utils.dist_util import get_dist_info


class Scores:
    """Sums of metrics over pictures, one row per kind of picture (``blurry input``, ``deblurred``).

    Args:
        metrics: the options' ``val.metrics``: name to ``{type: ..., arguments}``.
        rows: names of the rows.
    """

    def __init__(self, metrics: dict[str, dict], rows: Iterable[str]) -> None:
        # `better` tells BasicSR which way is up; it is no argument of the metric
        self.metrics = {name: {k: v for k, v in opt.items() if k != "better"} for name, opt in metrics.items()}
        self.sums = {row: dict.fromkeys(metrics, 0.0) for row in rows}
        self.count = 0

    def add(self, images: dict[str, np.ndarray], truth: np.ndarray | None) -> None:
        """Score the pictures of one pair, uint8 BGR (H, W, 3) or grey (H, W); without a truth, no-reference metrics."""
        self.count += 1
        reference = {} if truth is None else {"img2": truth}
        for row, image in images.items():
            for name, opt in self.metrics.items():
                self.sums[row][name] += calculate_metric({"img": image, **reference}, opt)

    def means(self, device: torch.device) -> dict[str, dict[str, float]] | None:
        """Mean of every metric over the pictures of all ranks, equal on every rank; None without pictures."""
        flat = torch.tensor(
            [self.count, *(value for row in self.sums.values() for value in row.values())],
            dtype=torch.float64,
            device=device,
        )
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(flat)
        if not flat[0]:
            return None
        values = iter((flat[1:] / flat[0]).tolist())
        return {row: {name: next(values) for name in sums} for row, sums in self.sums.items()}


def shard(loader: DataLoader) -> DataLoader:
    """This rank's share of a validation loader: every ``world_size``-th picture."""
    rank, world_size = get_dist_info()
    if world_size == 1:
        return loader
    dataset = Subset(loader.dataset, range(rank, len(loader.dataset), world_size))
    return DataLoader(dataset, batch_size=1, shuffle=False, num_workers=0)


def table(title: str, rows: dict[str, dict[str, float]]) -> str:
    """A Markdown table, one row per kind of picture and one column per metric."""
    names = list(next(iter(rows.values())))
    cells = [[title, *names], *([label, *(shown(scores[name]) for name in names)] for label, scores in rows.items())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(_aligned(row, widths)) + " |" for row in cells]
    rule = "|" + "|".join([f":{'-' * widths[0]}-", *(f"{'-' * width}-:" for width in widths[1:])]) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _aligned(row: list[str], widths: list[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


def shown(value: float) -> str:
    """Four decimals; more for a mean squared error, which would be 0.001 for every good picture."""
    return f"{value:.4f}" if abs(value) >= 0.1 else f"{value:.6f}"
