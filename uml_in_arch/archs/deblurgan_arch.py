"""The generator of DeblurGAN (Kupyn et al., Blind Motion Deblurring Using Conditional GANs, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn

from uml_in_arch.archs import padding
from uml_in_arch.archs.registration import register_unless_taken

_NORM_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_FIRST_BLOCK = 10


@register_unless_taken
class DeblurGAN(nn.Module):
    """DeblurGAN's ResNet generator; it predicts what to add to the blurry picture.

    Input and output RGB in [0, 1], (N, 3, H, W); inside they are in [-1, 1], clamped. Sizes that are no multiple of 4
    are reflected up to one inside. Instance norms always use the picture's own statistics. The authors' test never
    leaves training mode, so that their dropout stays on and two runs differ; here it is off in eval mode.

    Args:
        num_blocks: residual blocks; 9 in the paper.
        convs_per_block: 2 in the paper. The public code's head builds 1; when such a checkpoint is loaded, the network
            changes to it. Say 1 for distributed training from one.
        dropout: probability in the blocks; 0.5 in the paper.
    """

    def __init__(self, num_blocks: int = 9, convs_per_block: Literal[1, 2] = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.num_blocks = num_blocks
        self.dropout = dropout
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_normalised(nn.Conv2d(3, 64, 7)),
            *_normalised(nn.Conv2d(64, 128, 3, stride=2, padding=1)),
            *_normalised(nn.Conv2d(128, 256, 3, stride=2, padding=1)),
            *(_ResidualBlock(256, convs_per_block, dropout) for _ in range(num_blocks)),
            *_normalised(nn.ConvTranspose2d(256, 128, 3, stride=2, padding=1, output_padding=1)),
            *_normalised(nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(64, 3, 7),
            nn.Tanh(),
        )
        for module in self.modules():
            _initialise(module)

    def forward(self, image: Tensor) -> Tensor:
        """Deblur; see the class."""
        sides = padding.to_multiple(image, 4, at_least=8)
        blur = padding.extend(2 * image - 1, sides)
        restored = (blur + self.model(blur)).clamp(-1, 1)
        return (padding.crop(restored, sides) + 1) / 2

    def fit_weights(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Take on the number of convolutions in a checkpoint; returns its weights without unused norm statistics."""
        first = f"model.{_FIRST_BLOCK}.conv_block"
        if f"{first}.1.weight" in weights:
            convs = 2 if f"{first}.6.weight" in weights else 1
            for index in range(_FIRST_BLOCK, _FIRST_BLOCK + self.num_blocks):
                if self.model[index].convs != convs:
                    self.model[index] = _ResidualBlock(256, convs, self.dropout).to(self.model[1].weight)
                    self.model[index].train(self.training)
        return {key: value for key, value in weights.items() if not key.endswith(_NORM_STATISTICS)}

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        own = {key.removeprefix(prefix): state_dict.pop(key) for key in list(state_dict) if key.startswith(prefix)}
        state_dict.update({f"{prefix}{key}": value for key, value in self.fit_weights(own).items()})
        super()._load_from_state_dict(state_dict, prefix, *arguments)


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, convs: int, dropout: float) -> None:
        super().__init__()
        self.convs = convs
        layers = [nn.ReflectionPad2d(1), *_normalised(nn.Conv2d(channels, channels, 3)), nn.Dropout(dropout)]
        if convs == 2:
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def _normalised(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU()]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
