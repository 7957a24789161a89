"""Losses of the networks that ours is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.errors import OptionError
from uml_in_arch.losses.reduction import LevelLoss, Reduction

from basicsr.utils.registry import LOSS_REGISTRY

# keeps the logarithm finite for equal pictures, which then have 80 dB
SMALLEST_MSE = 1e-8


@LOSS_REGISTRY.register()
class PSNRLoss(LevelLoss):
    """Negative PSNR in dB, the loss of HINet and NAFNet (Chen et al., "Simple Baselines for Image Restoration", 2022).

    ``loss_weight * 10 * log10(MSE + 1e-8)``, the MSE of each picture on its own; -80 for equal pictures.

    Args:
        loss_weight, reduction: factor of the loss, and mean or sum over the pictures, or none (N,).
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """The loss of ``pred`` against ``target``, both (N, C, H, W) in [0, 1]."""
        _refuse_other_shapes(pred, target)
        mse = (pred - target).square().flatten(1).mean(1, keepdim=True)
        return self.reduce([(10 / math.log(10)) * torch.log(mse + SMALLEST_MSE)])


@LOSS_REGISTRY.register()
class MultiScaleL1Loss(LevelLoss):
    """L1 at every scale of the prediction, summed over the scales: MIMO-UNet's content loss (Cho et al., ICCV 2021).

    Args:
        loss_weight, reduction: factor of the loss; mean per scale, sum, or none (per picture), see `LevelLoss`.
    """

    multi_scale = True

    def forward(self, pred: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """The loss of predictions, coarse to fine or a single one, against the ground truth at full size.

        Args:
            pred: each (N, C, h, w).
            target: (N, C, H, W), brought to each prediction's size by `at_scale`.

        Raises:
            OptionError: a prediction is larger than the ground truth or has other channels.
        """
        return self.reduce([(image - at_scale(target, image)).abs() for image in _as_list(pred)])


@LOSS_REGISTRY.register()
class FrequencyL1Loss(LevelLoss):
    """L1 between discrete Fourier transforms, summed over the scales of the prediction: MIMO-UNet's frequency loss.

    Cho et al., "Rethinking Coarse-to-Fine Approach in Single Image Deblurring", ICCV 2021, weight 0.1; FFTformer has
    the same at one scale. Real and imaginary parts count as two numbers, transforms are not normalised, and the mean is
    over all H x W frequencies, of which only one half is computed: the other is its conjugate.

    Args:
        loss_weight, reduction: factor of the loss; mean per scale, sum, or none (per picture), see `LevelLoss`.
    """

    multi_scale = True

    def forward(self, pred: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """The loss of predictions against the ground truth; arguments and errors as in `MultiScaleL1Loss`."""
        return self.reduce([_frequencies(image - at_scale(target, image)) for image in _as_list(pred)])


@LOSS_REGISTRY.register()
class MultiScaleCharbonnierLoss(LevelLoss):
    """``sqrt(difference ** 2 + eps ** 2)`` at every stage or scale of the prediction, summed over them.

    MPRNet's main loss (Zamir et al., CVPR 2021) over its three stages. BasicSR's ``CharbonnierLoss`` takes one picture,
    and its ``eps`` is the square of this one.

    Args:
        loss_weight, reduction: factor of the loss; mean per scale, sum, or none (per picture), see `LevelLoss`.
        eps: where the loss turns from quadratic to linear, in units of the pixels; 1e-3 in the paper.
    """

    multi_scale = True

    def __init__(self, loss_weight: float = 1.0, reduction: Reduction = "mean", eps: float = 1e-3) -> None:
        super().__init__(loss_weight, reduction)
        self.eps = eps

    def forward(self, pred: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """The loss of predictions against the ground truth; arguments and errors as in `MultiScaleL1Loss`."""
        return self.reduce([self._charbonnier(image - at_scale(target, image)) for image in _as_list(pred)])

    def _charbonnier(self, difference: Tensor) -> Tensor:
        return (difference.square() + self.eps**2).sqrt()


@LOSS_REGISTRY.register()
class EdgeLoss(MultiScaleCharbonnierLoss):
    """`MultiScaleCharbonnierLoss` of the Laplacians of both pictures, MPRNet's second loss, with weight 0.05 there.

    Laplacian: the picture less its reduced and again enlarged version, with the 5x5 kernel of Burt and Adelson, "The
    Laplacian Pyramid as a Compact Image Code", 1983 (a = 0.4), borders repeated.

    Args:
        loss_weight, reduction, eps: as in `MultiScaleCharbonnierLoss`.
    """

    def _charbonnier(self, difference: Tensor) -> Tensor:
        return super()._charbonnier(_laplacian(difference))  # linear, so one of the difference will do


def at_scale(target: Tensor, image: Tensor) -> Tensor:
    """``target`` (N, C, H, W) at the size of ``image`` (N, C, h, w), bilinear without antialiasing, as in MIMO-UNet.

    Raises:
        OptionError: ``image`` is larger or has another batch size or channels.
    """
    if target.shape == image.shape:
        return target
    height, width = target.shape[2:]
    if target.shape[:2] != image.shape[:2] or height < image.shape[2] or width < image.shape[3]:
        _refuse_other_shapes(image, target)
    return F.interpolate(target, size=image.shape[2:], mode="bilinear", align_corners=False)


def _frequencies(difference: Tensor) -> Tensor:
    """Absolute real and imaginary parts of all frequencies, (N, C, H, W, 2), in no particular order of columns."""
    half = torch.view_as_real(torch.fft.rfft2(difference)).abs()
    width = difference.shape[-1]
    # a real picture's frequency at column W - k is the conjugate of one at column k
    return torch.cat([half, half[..., 1 : (width + 1) // 2, :]], dim=-2)


def _laplacian(image: Tensor) -> Tensor:
    reduced = torch.zeros_like(image)
    reduced[..., ::2, ::2] = 4 * _smooth(image)[..., ::2, ::2]
    return image - _smooth(reduced)


def _smooth(image: Tensor) -> Tensor:
    channels = image.shape[1]
    row = image.new_tensor([0.05, 0.25, 0.4, 0.25, 0.05])
    kernel = torch.outer(row, row).expand(channels, 1, 5, 5)
    return F.conv2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), kernel, groups=channels)


def _as_list(pred: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [pred] if isinstance(pred, Tensor) else list(pred)


def _refuse_other_shapes(pred: Tensor, target: Tensor) -> None:
    if pred.shape != target.shape:
        raise OptionError(
            f"the loss compares pictures of equal shape, got {tuple(pred.shape)} and {tuple(target.shape)}"
        )
