"""Distance of VGG19 features, as the two DeblurGANs use it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.errors import CheckpointError

from basicsr.archs import vgg_arch
from basicsr.utils.registry import LOSS_REGISTRY


@LOSS_REGISTRY.register()
class VGGFeatureLoss(nn.Module):
    """Mean squared difference of one layer's features of VGG19, which stays as it is.

    BasicSR's ``PerceptualLoss`` downloads the weights, finds a local file in one place only, and has no squared
    difference (its ``l2`` fails); this uses the same network.

    Args:
        loss_weight: factor of the loss.
        weights: torchvision's ``vgg19-dcbb9e9d.pth``; the default is where BasicSR looks for it.
        layer: whose output is compared, before its ReLU: ``conv3_3`` in both DeblurGANs.
        normalisation: what the network sees: ``imagenet`` (pixels less ImageNet's mean, over its deviation, as it was
            trained, and as in DeblurGAN-v2) or ``symmetric`` (pixels in [-1, 1], as in DeblurGAN).

    Raises:
        CheckpointError: the file is missing or is something else.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        weights: str = vgg_arch.VGG_PRETRAIN_PATH,
        layer: str = "conv3_3",
        normalisation: Literal["imagenet", "symmetric"] = "imagenet",
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.layer = layer
        self.is_symmetric = normalisation == "symmetric"
        self.vgg = _load_vgg(require_weights(weights), layer, use_input_norm=not self.is_symmetric)

    def forward(self, pred: Tensor, target: Tensor) -> tuple[Tensor, None]:
        """The loss of ``pred`` against ``target``, both (N, 3, H, W) in [0, 1]; second is BasicSR's style loss."""
        features = [self.vgg(2 * image - 1 if self.is_symmetric else image) for image in (pred, target.detach())]
        return self.loss_weight * nn.functional.mse_loss(*(found[self.layer] for found in features)), None


def require_weights(weights: str) -> Path:
    """The file of that name.

    Raises:
        CheckpointError: there is none.
    """
    path = Path(weights).expanduser()
    if not path.is_file():
        raise CheckpointError(
            f"{weights}: there is no such file; get torchvision's vgg19-dcbb9e9d.pth and give it as "
            "train.perceptual_opt.weights, or set train.perceptual_opt to ~"
        )
    return path


def _load_vgg(path: Path, layer: str, use_input_norm: bool) -> nn.Module:
    usual = vgg_arch.VGG_PRETRAIN_PATH
    vgg_arch.VGG_PRETRAIN_PATH = str(path)  # BasicSR knows no other way to say it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of torchvision, about how BasicSR calls it
            return vgg_arch.VGGFeatureExtractor([layer], "vgg19", use_input_norm)
    except Exception as error:
        raise CheckpointError(f"{path}: these are not torchvision's weights of VGG19; download them again") from error
    finally:
        vgg_arch.VGG_PRETRAIN_PATH = usual
