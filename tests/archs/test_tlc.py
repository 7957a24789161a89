"""Local statistics at test time: windows, borders, and networks that get them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from uml_in_arch.archs import TLC
from uml_in_arch.archs.tlc import LocalAvgPool2d
from uml_in_arch.errors import OptionError

from basicsr.utils.registry import ARCH_REGISTRY


@ARCH_REGISTRY.register()
class GloballyScaled(nn.Module):
    """Features at full and half size, each times a function of their mean."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.full = nn.Conv2d(3, channels, 3, padding=1)
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.down = nn.Conv2d(channels, 3, 2, stride=2)
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.unused = nn.AdaptiveAvgPool2d(1)
        self.other_size = nn.AdaptiveAvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.full(x)
        half = self.down(features * self.attention(features))
        return x + nn.functional.interpolate(half * self.pool(half), size=x.shape[2:])


def local(train_size: int) -> nn.Module:
    torch.manual_seed(0)
    return TLC({"type": "GloballyScaled", "channels": 5}, train_size=train_size).eval()


def plain(like: nn.Module) -> nn.Module:
    net = GloballyScaled(5).eval()
    net.load_state_dict(like.state_dict())
    return net


@pytest.mark.parametrize("window", [(3, 4), (1, 7), (5, 100), (100, 100)], ids=str)
def test_window_is_the_nearest_whole_one(window: tuple[int, int]) -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 9, 14)
    mean = LocalAvgPool2d(window).eval()(image).expand_as(image)
    height, width = (min(side, length) for side, length in zip(window, image.shape[2:], strict=True))
    for row in range(9):
        for column in range(14):
            top = min(max(row - (height - 1) // 2, 0), 9 - height)
            left = min(max(column - (width - 1) // 2, 0), 14 - width)
            expected = image[:, :, top : top + height, left : left + width].mean((2, 3))
            assert torch.allclose(mean[:, :, row, column], expected, atol=1e-6)


def test_sums_do_not_lose_precision() -> None:
    torch.manual_seed(0)
    image = 1 + 0.01 * torch.rand(1, 1, 300, 1500)
    pool = LocalAvgPool2d((50, 60)).eval()
    assert torch.allclose(pool(image), pool(image.double()).to(torch.float32), atol=2e-6)
    assert torch.allclose(pool(image.bfloat16()).float(), pool(image.bfloat16().float()), rtol=2**-8)


def test_windows_are_one_and_a_half_crops_at_every_scale() -> None:
    net = local(train_size=16)
    assert net.attention[0].window == (24, 24)
    assert net.pool.window == (12, 12)


@torch.no_grad()
def test_differs_only_on_pictures_larger_than_the_window() -> None:
    net = local(train_size=16)
    assert net.state_dict().keys() == GloballyScaled(5).state_dict().keys()
    small, large = torch.rand(1, 3, 24, 22), torch.rand(1, 3, 48, 40)
    assert torch.allclose(net(small), plain(net)(small), atol=1e-6)
    assert not torch.allclose(net(large), plain(net)(large), atol=1e-4)
    assert torch.allclose(net.train()(large), plain(net)(large), atol=1e-6)


@torch.no_grad()
def test_far_pixels_have_no_influence() -> None:
    net = local(train_size=16)
    image = torch.rand(1, 3, 32, 160)
    changed = image.clone()
    changed[..., 120:] = 0
    assert torch.allclose(net(image)[..., :60], net(changed)[..., :60], atol=1e-6)
    assert not torch.allclose(plain(net)(image)[..., :60], plain(net)(changed)[..., :60], atol=1e-4)


@torch.no_grad()
def test_nafnet_keeps_its_keys() -> None:
    pytest.importorskip("spandrel")
    sizes = {"width": 4, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}
    net = TLC({"type": "NAFNet", **sizes}, train_size=32).eval()
    assert net.state_dict().keys() == ARCH_REGISTRY.get("NAFNet")(**sizes).state_dict().keys()
    windows = {module.window for module in net.modules() if isinstance(module, LocalAvgPool2d)}
    assert windows == {(48, 48), (24, 24), (12, 12)}
    assert net(torch.rand(1, 3, 67, 90)).shape == (1, 3, 67, 90)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"type": "GloballyScald"}, r"network\.type: no arch is registered as 'GloballyScald'; did you mean 'Globally"),
        ({}, r"network\.type: no arch is registered as None"),
        ({"type": "GloballyScaled", "chanels": 3}, r"network\.chanels: unknown key; did you mean 'channels'"),
        ({"type": "GloballyScaled", "channels": "3"}, r"network\.channels: found '3'"),
        ({"type": ["NAFNet"]}, r"network\.type: no arch is registered as \['NAFNet'\]"),
        ({"type": "MIMOUNet"}, r"network: MIMOUNet has no global average pool to make local; use it without TLC"),
    ],
)
def test_errors_are_one_line(network: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message) as error:
        TLC(network)
    assert "\n" not in str(error.value)
