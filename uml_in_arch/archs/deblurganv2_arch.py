"""The generators of DeblurGAN-v2 (Kupyn et al., Deblurring (Orders-of-Magnitude) Faster and Better, ICCV 2019)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.archs import padding
from uml_in_arch.archs.backbones import inception_resnet_v2, mobilenet_v2
from uml_in_arch.archs.registration import register_unless_taken
from uml_in_arch.errors import OptionError

Backbone = Literal["mobilenet", "inception"]


@register_unless_taken
class DeblurGANv2(nn.Module):
    """DeblurGAN-v2: a feature pyramid over a backbone; it predicts what to add to the blurry picture.

    Input and output RGB in [0, 1], (N, 3, H, W); inside they are in [-1, 1], clamped. In eval mode, pictures are padded
    at the right and bottom with grey to the next larger multiple of 32, as in the authors' test code; in training mode,
    only where they are no multiple. Their test code also cuts results to 8 bits where BasicSR rounds them.

    As the authors intend, the norms always use the statistics of what is being restored, in eval mode too, and never
    running ones; in eval mode the pictures of a batch are therefore restored one by one. Parts of the backbone that the
    pyramid does not use stay in the checkpoint, as published, and are not trained.

    Args:
        backbone: ``mobilenet`` (MobileNetV2) or ``inception`` (Inception-ResNet-v2, which needs timm).

    Raises:
        OptionError: the backbone is another one, or timm is not installed.
    """

    def __init__(self, backbone: Backbone = "mobilenet") -> None:
        super().__init__()
        if backbone not in get_args(Backbone):
            raise OptionError(f"backbone: found {backbone!r}; one of {', '.join(get_args(Backbone))} is expected")
        is_small = backbone == "mobilenet"
        width, self._at_least = (64, 64) if is_small else (128, 128)
        self.fpn = _MobileNetPyramid(2 * width) if is_small else _InceptionPyramid(2 * width)
        self.head1 = _Head(2 * width, width)
        self.head2 = _Head(2 * width, width)
        self.head3 = _Head(2 * width, width)
        self.head4 = _Head(2 * width, width)
        self.smooth = _normalised(4 * width, width)
        self.smooth2 = _normalised(width, width // 2)
        self.final = nn.Conv2d(width // 2, 3, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats = False
        self.train()

    def train(self, mode: bool = True) -> DeblurGANv2:
        """As usual, but the norms stay in training mode; see the class."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)):
                module.training = True
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Deblur; see the class."""
        sides = padding.to_multiple(image, 32, self._at_least, margin=0 if self.training else 1)
        blur = F.pad(2 * image - 1, sides)
        parts = [blur] if self.training else blur.split(1)
        restored = torch.cat([self._restore(part) for part in parts])
        return (padding.crop(restored, sides) + 1) / 2

    def _restore(self, blur: Tensor) -> Tensor:
        maps = self.fpn(blur)
        heads = (self.head1, self.head2, self.head3, self.head4)
        merged = [_enlarge(head(level), 2**i) for i, (head, level) in enumerate(zip(heads, maps[1:], strict=True))]
        smoothed = self.smooth(torch.cat(merged[::-1], dim=1))
        smoothed = self.smooth2(_enlarge(smoothed, 2) + maps[0])
        return (blur + self.final(_enlarge(smoothed, 2)).tanh()).clamp(-1, 1)


class _Pyramid(nn.Module):
    """Five maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size; stages that lose a border get it back by reflection."""

    def __init__(self, stages: list[list[nn.Module]], channels: list[int], width: int) -> None:
        super().__init__()
        for index, (stage, inputs) in enumerate(zip(stages, channels, strict=True)):
            setattr(self, f"enc{index}", stage[0] if len(stage) == 1 else nn.Sequential(*stage))
            outputs = width // 2 if index == 0 else width
            setattr(self, f"lateral{index}", nn.Conv2d(inputs, outputs, 1, bias=False))
        self.td1 = _normalised(width, width)
        self.td2 = _normalised(width, width)
        self.td3 = _normalised(width, width)

    def forward(self, image: Tensor) -> list[Tensor]:
        height, width = image.shape[-2:]
        features = image
        maps = []
        for index in range(5):
            features = getattr(self, f"enc{index}")(features)
            lateral = getattr(self, f"lateral{index}")(features)
            maps.append(_reflect_to(lateral, height >> index + 1, width >> index + 1))
        for index, smooth in ((3, self.td1), (2, self.td2), (1, self.td3)):
            maps[index] = smooth(maps[index] + _enlarge(maps[index + 1], 2))
        return maps


class _MobileNetPyramid(_Pyramid):
    def __init__(self, width: int) -> None:
        features = mobilenet_v2()
        ends = (0, 2, 4, 7, 11, 16)
        stages = [list(features[start:end]) for start, end in zip(ends, ends[1:], strict=False)]
        super().__init__(stages, [16, 24, 32, 64, 160], width)
        self.features = features
        features[ends[-1] :].requires_grad_(False)


class _InceptionPyramid(_Pyramid):
    def __init__(self, width: int) -> None:
        net = inception_resnet_v2()
        stages = [
            [net.conv2d_1a],
            [net.conv2d_2a, net.conv2d_2b, net.maxpool_3a],
            [net.conv2d_3b, net.conv2d_4a, net.maxpool_5a],
            [net.mixed_5b, net.repeat, net.mixed_6a],
            [net.repeat_1, net.mixed_7a],
        ]
        super().__init__(stages, [32, 64, 192, 1088, 2080], width)
        self.inception = net
        for unused in (net.repeat_2, net.block8, net.conv2d_7b, net.last_linear):
            unused.requires_grad_(False)


class _Head(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block0 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.block1 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.block1(F.relu(self.block0(x))))


def _normalised(inputs: int, outputs: int) -> nn.Sequential:
    """The published checkpoints hold running statistics; they are kept (momentum 0) and not used."""
    norm = nn.InstanceNorm2d(outputs, momentum=0.0, track_running_stats=True)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), norm, nn.ReLU())


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor) if factor > 1 else x


def _reflect_to(x: Tensor, height: int, width: int) -> Tensor:
    missing = (width - x.shape[-1], height - x.shape[-2])
    sides = [side for length in missing for side in (length // 2, length - length // 2)]
    return F.pad(x, sides, mode="reflect") if any(sides) else x
