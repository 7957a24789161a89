"""Losses on the latents of the two branches."""

from __future__ import annotations

from torch import Tensor

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.flows import Latents
from uml_in_arch.losses.reduction import LevelLoss, Reduction

from basicsr.utils.registry import LOSS_REGISTRY


@LOSS_REGISTRY.register()
class LatentSimilarityLoss(LevelLoss):
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
        return self.reduce([(z - target).abs() for z, target in zip(latents_blur.tensors(), targets, strict=True)])


@LOSS_REGISTRY.register()
class SparseLatentLoss(LevelLoss):
    """L1 norm of the latents, the paper's regulariser for sparse salient representations.

    Args:
        loss_weight, reduction: factor of the loss, and mean, sum or none (per sample).
    """

    def forward(self, latents: Latents) -> Tensor:
        """Sum of the levels' absolute values."""
        return self.reduce([z.abs() for z in latents.tensors()])
