"""Losses on the latents of the two branches."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.errors import OptionError
from uml_in_arch.flows import Latents

from basicsr.utils.registry import LOSS_REGISTRY

Reduction = Literal["none", "mean", "sum"]


class _LatentLoss(nn.Module):
    """Absolute values of latents, reduced per level and summed over the levels and the base.

    Args:
        loss_weight: factor of the loss.
        reduction: ``mean`` takes the mean of each level, so that coarse levels with few numbers count as much as fine
            ones; ``sum`` adds up all numbers; ``none`` gives one number per sample (N,), the sum over levels of its
            level means.

    Raises:
        OptionError: for another reduction.
    """

    def __init__(self, loss_weight: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__()
        if reduction not in ("none", "mean", "sum"):
            raise OptionError(f"reduction is none, mean or sum, got {reduction!r}")
        self.loss_weight = loss_weight
        self.reduction = reduction

    def _reduce(self, magnitudes: list[Tensor]) -> Tensor:
        per_sample = [m.flatten(1).sum(1) if self.reduction == "sum" else m.flatten(1).mean(1) for m in magnitudes]
        total = sum(per_sample[1:], start=per_sample[0])
        reduced = {"none": total, "mean": total.mean(), "sum": total.sum()}[self.reduction]
        return self.loss_weight * reduced


@LOSS_REGISTRY.register()
class LatentSimilarityLoss(_LatentLoss):
    """``sum_l |z_blur,l - z_sharp,l|``: the latents of a blurry and a sharp image should be the same.

    PAPER.md: "the weights of the invertible modules are tuned by a similarity loss between blur and sharp variable
    pairs"; the L1 norm and the sum over levels are our reading. It needs a pixel loss beside it: alone it shrinks all
    latents to nothing.

    Args:
        loss_weight, reduction: factor of the loss, and mean, sum or none (per sample).
        stop_gradient: leave the sharp latents out of the gradient, so that only the blur branch moves.
    """

    def __init__(self, loss_weight: float = 1.0, reduction: Reduction = "mean", stop_gradient: bool = False) -> None:
        super().__init__(loss_weight, reduction)
        self.stop_gradient = stop_gradient

    def forward(self, latents_blur: Latents, latents_sharp: Latents) -> Tensor:
        """Compare the latents of a pair, level by level."""
        targets = [z.detach() if self.stop_gradient else z for z in latents_sharp.tensors()]
        return self._reduce([(z - target).abs() for z, target in zip(latents_blur.tensors(), targets, strict=True)])


@LOSS_REGISTRY.register()
class SparseLatentLoss(_LatentLoss):
    """L1 norm of the latents, the paper's regulariser for sparse salient representations.

    Args:
        loss_weight, reduction: factor of the loss, and mean, sum or none (per sample).
    """

    def forward(self, latents: Latents) -> Tensor:
        """Sum of the levels' absolute values."""
        return self._reduce([z.abs() for z in latents.tensors()])
