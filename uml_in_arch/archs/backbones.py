"""Backbones of DeblurGAN-v2, with the parameter names of its published checkpoints."""

from __future__ import annotations

from torch import Tensor, nn

from uml_in_arch.errors import OptionError

# expansion, channels, repeats and stride of the first, per group (Sandler et al. 2018, table 2)
_MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2() -> nn.Sequential:
    """MobileNetV2 (Sandler et al. 2018) without its classifier: 19 modules, (N, 3, H, W) to (N, 1280, H/32, W/32)."""
    layers: list[nn.Module] = [nn.Sequential(*_conv(3, 32, 3, stride=2))]
    channels = 32
    for expansion, width, repeats, first_stride in _MOBILENET_V2:
        for index in range(repeats):
            layers.append(_InvertedResidual(channels, width, first_stride if index == 0 else 1, expansion))
            channels = width
    return nn.Sequential(*layers, nn.Sequential(*_conv(channels, 1280, 1)))


def inception_resnet_v2() -> nn.Module:
    """Inception-ResNet-v2 (Szegedy et al. 2017) from timm, its last layer named as in the published checkpoints.

    Raises:
        OptionError: timm is not installed.
    """
    try:
        from timm.models.inception_resnet_v2 import InceptionResnetV2  # noqa: PLC0415 (optional, and slow to import)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "timm":
            raise
        message = "DeblurGANv2 with backbone: inception needs the library timm; run: pip install 'uml_in_arch[peers]'"
        raise OptionError(message) from error
    net = InceptionResnetV2()
    net.last_linear = net.classif
    del net.classif, net.global_pool
    return net


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = inputs * expansion
        expand = _conv(inputs, inside, 1) if expansion > 1 else []
        depthwise = _conv(inside, inside, 3, stride, groups=inside)
        project = _conv(inside, outputs, 1)[:-1]
        self.conv = nn.Sequential(*expand, *depthwise, *project)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.is_residual else self.conv(x)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU6()]
