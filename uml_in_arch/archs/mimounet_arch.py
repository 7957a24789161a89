"""MIMO-UNet and MIMO-UNet+ (Cho et al., Rethinking Coarse-to-Fine Approach in Single Image Deblurring, ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.archs import padding
from uml_in_arch.archs.registration import register_unless_taken


@register_unless_taken
class MIMOUNet(nn.Module):
    """MIMO-UNet: one U-Net that reads the picture at three sizes and predicts it at three sizes.

    Input RGB in [0, 1], (N, 3, H, W). In eval mode the output is alike. In training mode it is a list of three: quarter
    size, half size, full size. The coarse inputs are every second and every fourth pixel. Sizes that are no multiple
    of 4 are reflected up to one inside. Published checkpoints load (keys as in the paper's code).

    Args:
        num_res: residual blocks per encoder and decoder; 8 in the paper.
        width: channels at full size, doubled at half and again at quarter size; 32 in the paper.
    """

    skip_dropout = 0.0

    def __init__(self, num_res: int = 8, width: int = 32) -> None:
        super().__init__()
        widths = full, half, quarter = width, 2 * width, 4 * width
        self.feat_extract = nn.ModuleList(
            [
                _Conv(3, full),
                _Conv(full, half, stride=2),
                _Conv(half, quarter, stride=2),
                _Up(quarter, half),
                _Up(half, full),
                _Conv(full, 3, relu=False),
            ]
        )
        self.Encoder = nn.ModuleList(_ResidualBlocks(channels, num_res) for channels in widths)
        self.Decoder = nn.ModuleList(_ResidualBlocks(channels, num_res) for channels in reversed(widths))
        self.AFFs = nn.ModuleList(_Fusion(sum(widths), channels) for channels in (full, half))
        self.Convs = nn.ModuleList([_Conv(quarter, half, kernel=1), _Conv(half, full, kernel=1)])
        self.ConvsOut = nn.ModuleList([_Conv(quarter, 3, relu=False), _Conv(half, 3, relu=False)])
        self.SCM1, self.FAM1 = _ShallowFeatures(quarter), _FeatureAttention(quarter)
        self.SCM2, self.FAM2 = _ShallowFeatures(half), _FeatureAttention(half)
        self.drop1 = nn.Dropout2d(self.skip_dropout)
        self.drop2 = nn.Dropout2d(self.skip_dropout)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Deblur; see the class."""
        height, width = image.shape[-2:]
        restored = self._restore(padding.extend(image, padding.to_multiple(image, 4)))
        if not self.training:
            return restored[-1][..., :height, :width]
        return [out[..., : height // step, : width // step] for out, step in zip(restored, (4, 2, 1), strict=True)]

    def _restore(self, image: Tensor) -> list[Tensor]:
        images = (image, image[..., ::2, ::2], image[..., ::4, ::4])
        full = self.Encoder[0](self.feat_extract[0](image))
        half = self.Encoder[1](self.FAM2(self.feat_extract[1](full), self.SCM2(images[1])))
        quarter = self.Encoder[2](self.FAM1(self.feat_extract[2](half), self.SCM1(images[2])))
        # every skip sees all three sizes
        skip_half = self.drop2(self.AFFs[1](full[..., ::2, ::2], half, _enlarge(quarter, 2)))
        skip_full = self.drop1(self.AFFs[0](full, _enlarge(half, 2), _enlarge(quarter, 4)))

        decoded = self.Decoder[0](quarter)
        coarse = self.ConvsOut[0](decoded) + images[2]
        decoded = torch.cat([self.feat_extract[3](decoded), skip_half], dim=1)
        decoded = self.Decoder[1](self.Convs[0](decoded))
        middle = self.ConvsOut[1](decoded) + images[1]
        decoded = torch.cat([self.feat_extract[4](decoded), skip_full], dim=1)
        decoded = self.Decoder[2](self.Convs[1](decoded))
        return [coarse, middle, self.feat_extract[5](decoded) + image]


@register_unless_taken
class MIMOUNetPlus(MIMOUNet):
    """MIMO-UNet+: `MIMOUNet` with more blocks, and with dropout of whole channels in the skips while training.

    Args:
        num_res: residual blocks per encoder and decoder; 20 in the paper.
        width: see `MIMOUNet`.
    """

    skip_dropout = 0.1

    def __init__(self, num_res: int = 20, width: int = 32) -> None:
        super().__init__(num_res, width)


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
        self.main = nn.Sequential(conv, nn.ReLU()) if relu else nn.Sequential(conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class _Up(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(_Conv(channels, channels), _Conv(channels, channels, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)


class _ResidualBlocks(nn.Module):
    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_ResidualBlock(channels) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class _Fusion(nn.Module):
    """The paper's asymmetric feature fusion."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(_Conv(inputs, outputs, kernel=1), _Conv(outputs, outputs, relu=False))

    def forward(self, *features: Tensor) -> Tensor:
        return self.conv(torch.cat(features, dim=1))


class _ShallowFeatures(nn.Module):
    """The paper's shallow convolutional module: features of a coarse input picture, the picture among them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter, half = channels // 4, channels // 2
        self.main = nn.Sequential(
            _Conv(3, quarter), _Conv(quarter, half, kernel=1), _Conv(half, half), _Conv(half, channels - 3, kernel=1)
        )
        self.conv = _Conv(channels, channels, kernel=1, relu=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(torch.cat([image, self.main(image)], dim=1))


class _FeatureAttention(nn.Module):
    """The paper's feature attention module: the encoder's features times those of the coarse picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.merge = _Conv(channels, channels, relu=False)

    def forward(self, encoded: Tensor, shallow: Tensor) -> Tensor:
        return encoded + self.merge(encoded * shallow)


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor)
