"""Networks of other papers: sizes, published numbers and checkpoints, missing libraries, taken names."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Run
from torch import Tensor, nn

from uml_in_arch import archs, checkpoints, options
from uml_in_arch.errors import CheckpointError, OptionError

from basicsr.models.base_model import BaseModel
from basicsr.utils.registry import ARCH_REGISTRY

Make = Callable[[], nn.Module]

OURS: dict[str, Make] = {
    "DeblurGAN": lambda: archs.DeblurGAN(num_blocks=1),
    "DeblurGANv2": archs.DeblurGANv2,
    "MIMOUNet": lambda: archs.MIMOUNet(num_res=1),
    "MIMOUNetPlus": lambda: archs.MIMOUNetPlus(num_res=1),
}
PEERS: dict[str, dict[str, Any]] = {
    "NAFNet": {"width": 8, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]},
    "FFTformer": {"dim": 8, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1},
    "Uformer": {"embed_dim": 8, "depths": [1] * 9, "num_heads": [1] * 9, "win_size": 4},
    "SCUNet": {"config": [1] * 7},
    "Restormer": {"dim": 8, "num_blocks": [1] * 4, "heads": [1, 1, 2, 2], "num_refinement_blocks": 1},
    "MPRNet": {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4, "num_cab": 1},
}
NON_COMMERCIAL = ("Restormer", "MPRNet")
NORM_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

peer = pytest.mark.parametrize("name", PEERS)


def build(name: str) -> nn.Module:
    if name in OURS:
        return OURS[name]()
    require(name)
    return getattr(archs, name)(**PEERS[name])


def require(name: str) -> None:
    pytest.importorskip("spandrel_extra_arches" if name in NON_COMMERCIAL else "spandrel")


def published(name: str) -> type[nn.Module]:
    """The library's own class."""
    require(name)
    package = "spandrel_extra_arches" if name in NON_COMMERCIAL else "spandrel"
    return getattr(importlib.import_module(f"{package}.architectures.{name}"), name)


def load(*arguments: Any) -> None:
    """As BasicSR's models load a network."""
    BaseModel({"num_gpu": 0, "is_train": False}).load_network(*arguments)


def fill(net: nn.Module) -> nn.Module:
    """Weights that anybody's implementation with these names can be given: sines over the sorted names."""
    weights = {key: value for key, value in net.state_dict().items() if not key.endswith(NORM_STATISTICS)}
    for index, (key, value) in enumerate(sorted(weights.items())):
        wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 1.7 + index)
        scaled = wave / math.sqrt(value[0].numel()) if value.ndim > 1 else wave / 10 + float(key.endswith("weight"))
        value.copy_(scaled.view_as(value))
    return net


def waves(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return torch.stack([0.5 + 0.5 * torch.sin(y / (3 + c) + x / 5 + c) for c in range(3)])[None].float()


# mean, standard deviation, and pixels (0, 10, 20), (1, 30, 5), (2, 40, 60), printed by the authors' code for `fill` and
# `waves`; for DeblurGAN with two convolutions, with the public code's operator precedence put right
@pytest.mark.parametrize(
    ("make", "size", "expected"),
    [
        (lambda: archs.MIMOUNet(2), (64, 96), [0.46947, 0.36016, 0.86286, 0.37469, 0.56107]),
        (lambda: archs.DeblurGAN(2, convs_per_block=1), (64, 96), [0.49172, 0.35064, 0.88308, 0.07613, 0.51240]),
        (lambda: archs.DeblurGAN(2), (64, 96), [0.50043, 0.35080, 0.94861, 0.81337, 0.44692]),
        (lambda: archs.DeblurGANv2("mobilenet"), (64, 96), [0.51247, 0.35189, 0.94387, 0.50392, 0.48917]),
        (lambda: archs.DeblurGANv2("inception"), (100, 130), [0.51242, 0.35159, 0.94045, 0.53226, 0.49582]),
    ],
    ids=["MIMOUNet", "DeblurGAN, 1 convolution", "DeblurGAN", "DeblurGANv2 mobilenet", "DeblurGANv2 inception"],
)
@torch.no_grad()
def test_equals_the_authors_code(make: Make, size: tuple[int, int], expected: list[float]) -> None:
    if size == (100, 130):
        pytest.importorskip("timm")
    # float64: norms over the few pixels of coarse features blow float32's rounding up, differently on each machine
    result = fill(make()).double().eval()(waves(*size).double())
    found = [result.mean(), result.std(), result[0, 0, 10, 20], result[0, 1, 30, 5], result[0, 2, 40, 60]]
    assert [float(value) for value in found] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", [*OURS, *PEERS])
@torch.no_grad()
def test_takes_any_size(name: str) -> None:
    torch.manual_seed(0)
    net = build(name).eval()
    for size in ((1, 1), (33, 50)):
        image = torch.rand(2, 3, *size)
        result = net(image)
        assert result.shape == image.shape
        assert torch.isfinite(result).all()
        assert torch.allclose(result[:1], net(image[:1]), atol=1e-5)


@peer
@torch.no_grad()
def test_equals_the_library(name: str) -> None:
    torch.manual_seed(0)
    theirs = published(name)(**PEERS[name]).eval()
    ours = build(name).eval()
    ours.load_state_dict(theirs.state_dict())
    image = torch.rand(1, 3, 64, 64)
    result = theirs(image)
    assert torch.equal(ours(image), result if isinstance(result, Tensor) else result[0])


@peer
def test_keys_and_defaults_are_the_library_s(name: str) -> None:
    theirs = inspect.signature(published(name)).parameters
    own_sizes = ("n_feat", "scale_unetfeats", "scale_orsnetfeats")
    for key, parameter in inspect.signature(getattr(archs, name)).parameters.items():
        default = theirs[key].default
        if key not in own_sizes:
            assert parameter.default == (tuple(default) if isinstance(default, list) else default)


@pytest.mark.parametrize(
    ("file", "millions"),
    {
        "NAFNet32": 17.112,
        "NAFNet64_TLC": 67.889,
        "FFTformer": 16.560,
        "Uformer": 50.881,
        "Restormer": 26.127,
        "MPRNet": 20.127,
        "MPRNet_TLC": 20.127,
        "DeblurGAN": 11.378,
        "DeblurGANv2_mobilenet": 3.313,
        "DeblurGANv2_inception": 60.929,
        "MIMOUNet": 6.807,
        "MIMOUNetPlus": 16.108,
    }.items(),
)
def test_options_for_published_weights_build_the_published_size(file: str, millions: float) -> None:
    section = options.load(ROOT / f"options/published_{file}_GoPro.yml")["network_g"]
    for name in PEERS:
        if name in file:
            require(name)
    if section.get("backbone") == "inception":
        pytest.importorskip("timm")
    with torch.device("meta"):
        net = ARCH_REGISTRY.get(section.pop("type"))(**section)
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(millions, abs=6e-4)


class TestMimoUnet:
    def test_training_returns_three_sizes_coarse_to_fine(self) -> None:
        torch.manual_seed(0)
        net = archs.MIMOUNet(num_res=1)
        image = torch.rand(1, 3, 37, 42)
        coarse, middle, fine = net.train()(image)
        assert [tuple(result.shape[2:]) for result in (coarse, middle, fine)] == [(9, 10), (18, 21), (37, 42)]
        assert torch.equal(fine, net.eval()(image))

    def test_plus_drops_skips_while_training_only(self) -> None:
        torch.manual_seed(0)
        net = archs.MIMOUNetPlus(num_res=1)
        image = torch.rand(1, 3, 16, 16)
        assert not torch.equal(net(image)[2], net(image)[2])
        net.eval()
        assert torch.equal(net(image), net(image))

    def test_keys_are_the_published_ones(self) -> None:
        keys = archs.MIMOUNet().state_dict().keys()
        expected = (
            "Encoder.0.layers.7.main.1.main.0.weight Decoder.2.layers.0.main.0.main.0.bias AFFs.1.conv.0.main.0.bias"
        )
        expected += (
            " feat_extract.3.main.0.weight Convs.1.main.0.bias ConvsOut.0.main.0.weight FAM2.merge.main.0.weight"
        )
        expected += " SCM1.main.3.main.0.weight SCM2.conv.main.0.bias"
        assert set(expected.split()) <= keys
        assert len(keys) == 244


class TestDeblurGan:
    def test_keys_are_the_published_ones(self) -> None:
        layers = ["1", "4", "7", *(f"{i}.conv_block.{j}" for i in range(10, 19) for j in (1, 6)), "19", "22", "26"]
        expected = {f"model.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
        assert set(archs.DeblurGAN().state_dict()) == expected

    @torch.no_grad()
    def test_takes_on_the_one_convolution_of_the_public_code(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        theirs = archs.DeblurGAN(num_blocks=2, convs_per_block=1).eval()
        statistics = {f"model.{layer}.running_mean": torch.zeros(64) for layer in ("2", "10.conv_block.2")}
        torch.save({**theirs.state_dict(), **statistics}, tmp_path / "net.pth")
        ours = archs.DeblurGAN(num_blocks=2).eval()
        load(ours, str(tmp_path / "net.pth"))
        image = torch.rand(1, 3, 16, 20)
        assert torch.equal(ours(image), theirs(image))

    def test_refuses_other_networks(self, tmp_path: Path) -> None:
        torch.save(archs.MIMOUNet(1).state_dict(), tmp_path / "net.pth")
        with pytest.raises(CheckpointError, match=r"net\.pth: these are not weights of DeblurGAN") as error:
            load(archs.DeblurGAN(num_blocks=1), str(tmp_path / "net.pth"))
        assert "\n" not in str(error.value)


class TestDeblurGanV2:
    def test_keys_are_the_published_ones(self) -> None:
        weights = archs.DeblurGANv2().state_dict()
        assert len(weights) == 622
        assert weights["fpn.enc4.4.conv.0.weight"] is not None
        assert weights["fpn.enc2.0.conv.3.weight"].data_ptr() == weights["fpn.features.4.conv.3.weight"].data_ptr()
        for key in ("fpn.features.18.0.weight", "fpn.td3.1.running_var", "fpn.lateral0.weight", "head4.block1.weight"):
            assert key in weights
        for key in ("smooth.0.bias", "smooth2.1.num_batches_tracked", "final.bias"):
            assert key in weights

    @torch.no_grad()
    def test_restores_by_the_pictures_own_statistics_and_keeps_none(self) -> None:
        torch.manual_seed(0)
        net = archs.DeblurGANv2().eval()
        image = torch.rand(1, 3, 64, 64)
        before = net(image)
        assert all(not value.any() for key, value in net.state_dict().items() if key.endswith("running_mean"))
        for key, value in net.state_dict().items():
            if key.endswith(("running_mean", "running_var")):
                value.fill_(3)
        assert torch.equal(net(image), before)

    def test_unknown_backbone_is_one_line(self) -> None:
        with pytest.raises(OptionError, match="backbone: found 'vgg'; one of mobilenet, inception is expected"):
            archs.DeblurGANv2("vgg")

    def test_trains_all_that_it_uses(self) -> None:
        torch.manual_seed(0)
        net = archs.DeblurGANv2()
        net(torch.rand(2, 3, 64, 64)).sum().backward()
        for name, parameter in net.named_parameters():
            assert (parameter.grad is not None) == parameter.requires_grad, name


class TestPublishedFiles:
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda weights: weights,
            lambda weights: {"params": weights},
            lambda weights: {"params_ema": weights},
            lambda weights: {"model": weights, "epoch": 3},
            lambda weights: {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in weights.items()}},
        ],
        ids=["bare", "params", "params_ema", "model", "state_dict"],
    )
    @pytest.mark.parametrize("param_key", ["params", "params_ema", None])
    def test_load_whatever_param_key_says(
        self, wrap: Callable[[dict[str, Tensor]], dict[str, Any]], param_key: str | None, tmp_path: Path
    ) -> None:
        torch.manual_seed(0)
        theirs, ours = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
        torch.save(wrap(theirs.state_dict()), tmp_path / "net.pth")
        load(ours, str(tmp_path / "net.pth"), True, param_key)
        assert torch.equal(ours.weight, theirs.weight)

    def test_param_key_comes_first(self) -> None:
        content = {"params": {"a": torch.zeros(1)}, "params_ema": {"a": torch.ones(1)}}
        assert checkpoints.weights_of(content, "params_ema", "net.pth")["a"] == 1
        assert checkpoints.weights_of(content, "params", "net.pth")["a"] == 0

    def test_what_does_not_fit_is_left_as_it_is_where_not_strict(self, tmp_path: Path) -> None:
        torch.save({"weight": torch.ones(3, 3, 3, 3), "bias": torch.ones(5)}, tmp_path / "net.pth")
        ours = nn.Conv2d(3, 3, 3)
        bias = ours.bias.detach().clone()
        load(ours, str(tmp_path / "net.pth"), False, None)
        assert ours.weight.eq(1).all()
        assert torch.equal(ours.bias, bias)


@pytest.fixture
def _without_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    archs.spandrel_arch._any_size.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] in ("spandrel", "spandrel_extra_arches", "timm")]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("spandrel", "spandrel_extra_arches", "timm"):
        monkeypatch.setitem(sys.modules, name, None)
    yield
    archs.spandrel_arch._any_size.cache_clear()


@pytest.mark.usefixtures("_without_libraries")
@pytest.mark.parametrize(
    ("make", "library"),
    [
        (archs.NAFNet, "spandrel"),
        (archs.Restormer, "spandrel_extra_arches"),
        (lambda: archs.DeblurGANv2("inception"), "timm"),
    ],
    ids=["NAFNet", "Restormer", "DeblurGANv2"],
)
def test_missing_library_is_one_line(make: Make, library: str) -> None:
    with pytest.raises(OptionError, match=rf"needs the library {library}; run: pip install 'uml_in_arch\[peers\]'$"):
        make()


def test_a_checkouts_own_network_keeps_its_name_and_licences_are_said_once(run: Run, tmp_path: Path) -> None:
    require("MPRNet")
    script = """
import uml_in_arch.toolbox
from basicsr.models.base_model import BaseModel
from basicsr.utils.registry import ARCH_REGISTRY
@ARCH_REGISTRY.register()
class NAFNet: pass
from uml_in_arch import archs
assert ARCH_REGISTRY.get("NAFNet") is NAFNet is not archs.NAFNet
assert ARCH_REGISTRY.get("MIMOUNet") is archs.MIMOUNet
assert "spandrel" not in __import__("sys").modules
for _ in range(2): archs.MPRNet(n_feat=8, scale_unetfeats=4, scale_orsnetfeats=4, num_cab=1)
"""
    done = run("-W", "ignore", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "MPRNet comes from spandrel_extra_arches, for non-commercial use only"
