"""Losses. Importing this package registers them in BasicSR's LOSS_REGISTRY."""

from uml_in_arch.losses.latent_loss import LatentSimilarityLoss, SparseLatentLoss
from uml_in_arch.losses.ssim_loss import SSIMLoss

__all__ = ["LatentSimilarityLoss", "SSIMLoss", "SparseLatentLoss"]
