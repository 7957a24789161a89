"""Losses. Importing this package registers them in BasicSR's LOSS_REGISTRY."""

from uml_in_arch.losses.latent_loss import LatentSimilarityLoss, SparseLatentLoss
from uml_in_arch.losses.perceptual_loss import VGGFeatureLoss
from uml_in_arch.losses.relativistic_loss import RelativisticLSLoss
from uml_in_arch.losses.rival_losses import (
    EdgeLoss,
    FrequencyL1Loss,
    MultiScaleCharbonnierLoss,
    MultiScaleL1Loss,
    PSNRLoss,
)
from uml_in_arch.losses.ssim_loss import SSIMLoss

__all__ = [
    "EdgeLoss",
    "FrequencyL1Loss",
    "LatentSimilarityLoss",
    "MultiScaleCharbonnierLoss",
    "MultiScaleL1Loss",
    "PSNRLoss",
    "RelativisticLSLoss",
    "SSIMLoss",
    "SparseLatentLoss",
    "VGGFeatureLoss",
]
