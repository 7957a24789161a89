"""The discriminators that DeblurGAN and DeblurGAN-v2 are trained against."""

from __future__ import annotations

from torch import Tensor, nn

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)

from basicsr.utils.registry import ARCH_REGISTRY

_MOST_WIDENING = 8


@ARCH_REGISTRY.register()
class PatchDiscriminator(nn.Module):
    """PatchGAN: one number for every patch of a picture, higher for sharp ones; no sigmoid.

    Convolutions 4x4 with stride 2, then two with stride 1 (Isola et al., CVPR 2017); instance normalisation as in
    DeblurGAN. Input RGB in [-1, 1], (N, 3, H, W); output (N, 1, h, w). 2.8 M parameters at the defaults.

    Args:
        width: channels after the first convolution.
        num_strided: convolutions with stride 2. With 3 a number sees 70x70 pixels, with 5 the whole of a 256x256 crop.
    """

    def __init__(self, width: int = 64, num_strided: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, width, stride=2), nn.LeakyReLU(0.2)]
        widths = [width * min(2**level, _MOST_WIDENING) for level in range(num_strided + 1)]
        for level in range(1, num_strided + 1):
            inputs, outputs = widths[level - 1], widths[level]
            layers += [_conv(inputs, outputs, stride=2 if level < num_strided else 1)]
            layers += [nn.InstanceNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*layers, _conv(widths[-1], 1, stride=1))

    def forward(self, image: Tensor) -> Tensor:
        """Judge every patch."""
        return self.model(image)


@ARCH_REGISTRY.register()
class DoubleDiscriminator(nn.Module):
    """DeblurGAN-v2's local and global discriminator (Kupyn et al., ICCV 2019): two `PatchDiscriminator`.

    Input RGB in [-1, 1]; output a list of two, one number for every 70x70 patch and one for much larger ones.

    Args:
        width: channels after the first convolution of each.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.patch = PatchDiscriminator(width, num_strided=3)
        self.full = PatchDiscriminator(width, num_strided=5)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Judge patches and the whole."""
        return [self.patch(image), self.full(image)]


def _conv(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 4, stride, padding=2)
    nn.init.normal_(conv.weight, std=0.02)  # as DeblurGAN starts
    nn.init.zeros_(conv.bias)
    return conv
