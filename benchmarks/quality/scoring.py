"""Scores of a trained network on the validation sets."""

from __future__ import annotations

import torch
from torch import nn
from tqdm import tqdm

import uml_in_arch.metrics
import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from benchmarks.quality.bank import validation_pairs
from benchmarks.quality.options import BenchOptions
from uml_in_arch.compare.options import BLURRY, METRICS
from uml_in_arch.models.tiling import restore
from uml_in_arch.models.validation import Scores

from basicsr.utils import tensor2img

DEBLURRED = "deblurred"


def score(
    bench: BenchOptions, net: nn.Module, metrics: tuple[str, ...] = tuple(METRICS), limit: int | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """Validation set to row (blurry input, deblurred) to metric; of at most ``limit`` pictures of each set."""
    device = next(net.parameters()).device
    net.eval()
    results = {}
    for name in bench.validation:
        scores = Scores({metric: METRICS[metric].model_dump() for metric in metrics}, (BLURRY, DEBLURRED))
        for _, blur, sharp in tqdm(validation_pairs(bench, name), desc=name, unit="picture", disable=None):
            if limit is not None and scores.count >= limit:
                break
            with torch.no_grad():
                restored = restore(net, blur.to(device)).float().cpu()
            pictures = {BLURRY: tensor2img([blur]), DEBLURRED: tensor2img([restored])}
            scores.add(pictures, tensor2img([sharp]))
        results[name] = scores.means(torch.device("cpu"))
    return results
