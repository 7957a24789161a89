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

    def add(self, images: dict[str, np.ndarray], truth: np.ndarray) -> None:
        """Score the pictures of one pair: uint8 BGR (H, W, 3) or grey (H, W)."""
        self.count += 1
        for row, image in images.items():
            for name, opt in self.metrics.items():
                self.sums[row][name] += calculate_metric({"img": image, "img2": truth}, opt)

    def means(self, device: torch.device) -> dict[str, dict[str, float]]:
        """Mean of every metric over the pictures of all ranks, equal on every rank."""
        flat = torch.tensor(
            [self.count, *(value for row in self.sums.values() for value in row.values())],
            dtype=torch.float64,
            device=device,
        )
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(flat)
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
    width = max(len(label) for label in (title, *rows))
    lines = [f"| {title:<{width}} | " + " | ".join(f"{name:>8}" for name in names) + " |"]
    lines.append(f"|:{'-' * width}-|" + "|".join("-" * (max(8, len(name)) + 1) + ":" for name in names) + "|")
    for label, scores in rows.items():
        cells = " | ".join(f"{scores[name]:>{max(8, len(name))}.4f}" for name in names)
        lines.append(f"| {label:<{width}} | {cells} |")
    return "\n".join(lines)
