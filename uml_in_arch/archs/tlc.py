"""Test-time local statistics (Chu et al., Improving Image Restoration by Revisiting Global Information Aggregation,
ECCV 2022)."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from uml_in_arch.archs.registration import register_unless_taken
from uml_in_arch.errors import OptionError
from uml_in_arch.option_check import check_arguments
from uml_in_arch.options import did_you_mean

from basicsr.utils.registry import ARCH_REGISTRY


@register_unless_taken
def TLC(network: dict[str, Any], train_size: PositiveInt = 256) -> nn.Module:
    """A network for RGB whose global average pools see, in eval mode, windows of about the size of a training crop.

    Pools that are ``nn.AdaptiveAvgPool2d(1)`` are replaced by `LocalAvgPool2d`. Parameters and their names stay the
    same, so the network's own checkpoints load.

    Args:
        network: a ``network_g`` section: ``type`` and the constructor's keys.
        train_size: side of the crops that the network was trained with. Windows are 1.5 times as large, as in the
            authors' code.

    Raises:
        OptionError: the section does not fit the network, or it has no such pool.
    """
    name, arguments = network.get("type"), {key: value for key, value in network.items() if key != "type"}
    if not isinstance(name, str) or name not in ARCH_REGISTRY:
        known = did_you_mean(str(name), ARCH_REGISTRY.keys())
        raise OptionError(f"network.type: no arch is registered as {name!r}{known}")
    constructor = ARCH_REGISTRY.get(name)
    check_arguments(constructor, arguments, ("network",))
    with torch.device("meta"):
        pooled = _pooled_sizes(constructor(**arguments), train_size)
    if not pooled:
        raise OptionError(f"network: {name} has no global average pool to make local; use it without TLC")
    net = constructor(**arguments)
    for path, (height, width) in pooled.items():
        parent, _, child = path.rpartition(".")
        window = (_window(height, train_size), _window(width, train_size))
        setattr(net.get_submodule(parent), child, LocalAvgPool2d(window))
    return net


class LocalAvgPool2d(nn.Module):
    """Mean over a window around every pixel in eval mode, over the whole map in training mode.

    (N, C, H, W) to the same shape, with 1 instead of H or W where the window covers that side, or to (N, C, 1, 1).
    Windows do not reach over the border: near it, the nearest whole window counts.

    Args:
        window: height and width in pixels.
    """

    def __init__(self, window: tuple[int, int]) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """Average; the sums are at least float32."""
        if self.training:
            return x.mean((2, 3), keepdim=True)
        mean = x.to(torch.promote_types(x.dtype, torch.float32))
        for dim, window in zip((2, 3), self.window, strict=True):
            mean = _sliding_mean(mean, window, dim)
        return mean.to(x.dtype)

    def extra_repr(self) -> str:
        """The window."""
        return f"window={self.window}"


def _sliding_mean(x: Tensor, window: int, dim: int) -> Tensor:
    length = x.shape[dim]
    if window >= length:
        return x.mean(dim, keepdim=True)
    sums = x.cumsum(dim)
    inner = sums.narrow(dim, window, length - window) - sums.narrow(dim, 0, length - window)
    means = torch.cat([sums.narrow(dim, window - 1, 1), inner], dim) / window
    missing = length - means.shape[dim]
    before = torch.arange(length, device=x.device) - missing // 2
    return means.index_select(dim, before.clamp(0, means.shape[dim] - 1))


def _pooled_sizes(net: nn.Module, train_size: int) -> dict[str, tuple[int, int]]:
    """Height and width of what each global pool sees of a training crop."""
    sizes: dict[str, tuple[int, int]] = {}
    for path, module in net.named_modules():
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
            module.register_forward_hook(
                lambda _, inputs, __, path=path: sizes.update({path: tuple(inputs[0].shape[2:])})
            )
    with torch.no_grad():
        net.eval()(torch.empty(1, 3, train_size, train_size))
    return sizes


def _window(length: int, train_size: int) -> int:
    return max(1, length * (train_size * 3 // 2) // train_size)
