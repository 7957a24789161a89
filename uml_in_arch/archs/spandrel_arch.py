"""Published networks that the optional libraries spandrel and spandrel_extra_arches carry.

Each is registered under its authors' name and with their constructor's keys, so their option files and checkpoints
work. The libraries are imported when a network is built. All take and give RGB in [0, 1], (N, 3, H, W), at any size.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from uml_in_arch.archs import padding
from uml_in_arch.archs.registration import register_unless_taken
from uml_in_arch.errors import OptionError


@register_unless_taken
def NAFNet(
    img_channel: int = 3,
    width: int = 16,
    middle_blk_num: int = 1,
    enc_blk_nums: Sequence[int] = (),
    dec_blk_nums: Sequence[int] = (),
) -> nn.Module:
    """NAFNet (Chen et al. 2022). It pads with zeros itself."""
    return _any_size("spandrel", "NAFNet")(**locals())


@register_unless_taken
def FFTformer(
    inp_channels: int = 3,
    out_channels: int = 3,
    dim: int = 48,
    num_blocks: Sequence[int] = (6, 6, 12),
    num_refinement_blocks: int = 4,
    ffn_expansion_factor: float = 3,
    bias: bool = False,
) -> nn.Module:
    """FFTformer (Kong et al. 2023). Pictures are reflected up to a multiple of 32, as its authors test it."""
    return _any_size("spandrel", "FFTformer", multiple=32)(**locals())


@register_unless_taken
def Uformer(
    img_size: int = 256,
    in_chans: int = 3,
    dd_in: int = 3,
    embed_dim: int = 32,
    depths: Sequence[int] = (2, 2, 2, 2, 2, 2, 2, 2, 2),
    num_heads: Sequence[int] = (1, 2, 4, 8, 16, 16, 8, 4, 2),
    win_size: int = 8,
    mlp_ratio: float = 4.0,
    qkv_bias: bool = True,
    qk_scale: float | None = None,
    drop_rate: float = 0.0,
    attn_drop_rate: float = 0.0,
    drop_path_rate: float = 0.1,
    patch_norm: bool = True,
    use_checkpoint: bool = False,
    token_projection: Literal["linear", "conv"] = "linear",
    token_mlp: Literal["leff", "fastleff", "ffn", "mlp"] = "leff",
    shift_flag: bool = True,
    modulator: bool = False,
    cross_modulator: bool = False,
) -> nn.Module:
    """Uformer (Wang et al. 2022). Pictures are centred in a black square, as its authors test it.

    Its side is a multiple of 16 windows, 128 with windows of 8.
    """
    return _any_size("spandrel", "Uformer", multiple=16 * win_size, mode="constant", square=True)(**locals())


@register_unless_taken
def SCUNet(
    in_nc: int = 3,
    config: Sequence[int] = (4, 4, 4, 4, 4, 4, 4),
    dim: int = 64,
    drop_path_rate: float = 0.0,
    input_resolution: int = 256,
) -> nn.Module:
    """SCUNet (Zhang et al. 2022), made for noise. The border is repeated up to a multiple of 64, as by its authors."""
    return _any_size("spandrel", "SCUNet", multiple=64, mode="replicate")(**locals())


@register_unless_taken
def Restormer(
    inp_channels: int = 3,
    out_channels: int = 3,
    dim: int = 48,
    num_blocks: Sequence[int] = (4, 6, 6, 8),
    num_refinement_blocks: int = 4,
    heads: Sequence[int] = (1, 2, 4, 8),
    ffn_expansion_factor: float = 2.66,
    bias: bool = False,
    LayerNorm_type: Literal["WithBias", "BiasFree"] = "WithBias",
    dual_pixel_task: bool = False,
) -> nn.Module:
    """Restormer (Zamir et al. 2022). Pictures are reflected up to a multiple of 8, as its authors test it."""
    return _any_size("spandrel_extra_arches", "Restormer", multiple=8)(**locals())


@register_unless_taken
def MPRNet(
    in_c: int = 3,
    out_c: int = 3,
    n_feat: int = 96,
    scale_unetfeats: int = 48,
    scale_orsnetfeats: int = 32,
    num_cab: int = 8,
    kernel_size: int = 3,
    reduction: int = 4,
    bias: bool = False,
) -> nn.Module:
    """MPRNet (Zamir et al. 2021). Pictures are reflected up to a multiple of 8, as its authors test it.

    The default sizes are those that its authors deblur with. In training mode it gives a list, the results of its
    three stages, the last being the final one; in eval mode only that one.
    """
    return _any_size("spandrel_extra_arches", "MPRNet", multiple=8)(**locals())


@functools.cache
def _any_size(
    package: str, name: str, multiple: int = 1, mode: padding.Mode = "reflect", square: bool = False
) -> type[nn.Module]:
    """A class of the library, with padding around its forward; parameters and their names stay the same."""
    published = _import(package, name)

    class AnySize(published):  # type: ignore[misc, valid-type]
        def __init__(self, **arguments: Any) -> None:
            device = torch.get_default_device()
            with torch.device("cpu"):  # some constructors read tensors, and there is nothing to read on "meta"
                super().__init__(**_lists(arguments))
            self.to(device)
            if package == "spandrel_extra_arches" and device.type != "meta":
                _say_licence(name)

        def forward(self, image: Tensor) -> Tensor | list[Tensor]:
            sides = padding.to_square(image, multiple) if square else padding.to_multiple(image, multiple)
            result = super().forward(padding.extend(image, sides, mode))
            if isinstance(result, Tensor):
                return padding.crop(result, sides)
            stages = [padding.crop(stage, sides) for stage in reversed(result)]
            return stages if self.training else stages[-1]

    AnySize.__name__ = AnySize.__qualname__ = name
    return AnySize


def _import(package: str, name: str) -> type[nn.Module]:
    try:
        return getattr(importlib.import_module(f"{package}.architectures.{name}"), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package:
            raise
        raise OptionError(f"{name} needs the library {package}; run: pip install 'uml_in_arch[peers]'") from error


def _lists(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Some of the constructors add to their lists."""
    return {
        key: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for key, value in arguments.items()
    }


@functools.cache
def _say_licence(name: str) -> None:
    logging.getLogger("basicsr").warning("%s comes from spandrel_extra_arches, for non-commercial use only", name)
