"""How losses over several levels or scales become one number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from uml_in_arch.errors import OptionError

Reduction = Literal["none", "mean", "sum"]


class LevelLoss(nn.Module):
    """Numbers of several levels, reduced per level and summed over the levels.

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

    def reduce(self, levels: Sequence[Tensor]) -> Tensor:
        """The loss from one tensor (N, ...) per level."""
        per_sample = [m.flatten(1).sum(1) if self.reduction == "sum" else m.flatten(1).mean(1) for m in levels]
        total = sum(per_sample[1:], start=per_sample[0])
        reduced = {"none": total, "mean": total.mean(), "sum": total.sum()}[self.reduction]
        return self.loss_weight * reduced
