"""The filter that reads power spectra: starts as nothing, adds up windows exactly, learns to undo a motion."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uml_in_arch.archs import UMLINPlus
from uml_in_arch.archs.spectral import SpectralFilter
from uml_in_arch.data.blur import MotionBlur
from uml_in_arch.data.photographs import load_photograph
from uml_in_arch.errors import OptionError


def photograph(name, top, left, side):
    crop = load_photograph(name)[top : top + side, left : left + side]
    return crop, torch.from_numpy(crop.transpose(2, 0, 1).copy())[None].float() / 255


def with_gain(value, window=16):
    net = SpectralFilter(4, window, 1)
    torch.nn.init.constant_(net.gains.bias, value)
    return net


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (33, 47), (64, 64)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_new_filter_adds_nothing_at_any_size(size, channels):
    image = torch.rand(2, channels, *size)
    added = SpectralFilter(4, 16, 3)(image)
    assert added.shape == (2, 3, *size)
    assert not added.any()


@torch.no_grad()
def test_equal_gains_add_the_picture_without_the_means_of_its_windows():
    image = torch.zeros(1, 3, 48, 64)
    image[..., 20, 31] = 1  # windows of 16 pixels, so each has a mean of 1/256
    added = with_gain(0.5)(image)
    assert (added - 0.5 * image[:, :1]).abs().max() < 0.5 / 256 + 1e-5
    assert with_gain(0.5)(torch.full_like(image, 0.7)).abs().max() < 1e-5, "a flat picture has no detail to change"


@torch.no_grad()
def test_a_part_cut_on_the_grid_is_filtered_like_the_whole():
    torch.manual_seed(0)
    net = SpectralFilter(4, 16, 3)
    torch.nn.init.normal_(net.gains.weight, std=0.1)
    image = torch.rand(1, 3, 128, 128)
    part = net(image[..., 32:112, 24:120])
    # windows over the part's border filter its mirror image, and the average of spectra ends there
    assert (part[..., 24:-24, 24:-24] - net(image)[..., 56:88, 48:96]).abs().max() < 1e-5


@torch.no_grad()
def test_the_border_does_not_change_what_is_read():
    """A picture of equal windows is read equally everywhere: mirror images beyond its border play no part."""
    torch.manual_seed(0)
    net = SpectralFilter(4, 16, 1)
    torch.nn.init.normal_(net.gains.weight, std=0.3)
    period = 8  # half a window, the distance of windows
    image = torch.rand(1, 3, period, period).repeat(1, 1, 6, 7)
    added = net(image)[..., period:-period, period:-period]  # seen only by windows inside
    assert added.abs().max() > 1e-2
    tile = added[..., :period, :period]
    assert (added - tile.repeat(1, 1, 4, 5)).abs().max() < 1e-5


def test_stays_float32_under_autocast():
    net = with_gain(1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        added = net(torch.rand(1, 3, 32, 32))
    assert added.dtype == torch.float32


def blurred_pairs(kernel, photographs):
    for name, top, left in photographs:
        crop, sharp = photograph(name, top, left, 96)
        blurry = MotionBlur(kernels=(kernel,)).apply(crop, np.random.default_rng(0))
        yield torch.from_numpy(blurry.transpose(2, 0, 1).copy())[None].float() / 255, sharp


def stacked(pairs):
    return (torch.cat(images) for images in zip(*pairs, strict=True))


def learn(net, blur, sharp, steps):
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (blur + net(blur) - sharp).square().mean()
        loss.backward()
        optimizer.step()
    return loss


LINE = np.zeros((7, 7), np.float32)
LINE[3] = 1 / 7
SEEN = (("astronaut", 200, 180), ("chelsea", 60, 110), ("coffee", 100, 150))
UNSEEN = (("rocket", 100, 250),)


def test_learns_to_tell_a_motion_by_the_spectrum():
    """One filter for two directions of motion: only the spectrum says which one a crop was blurred by."""
    torch.manual_seed(0)
    blur, sharp = stacked(pair for kernel in (LINE, LINE.T) for pair in blurred_pairs(kernel, SEEN[:2]))
    net = SpectralFilter(16, 32, 1)
    before = (blur - sharp).square().mean()
    assert learn(net, blur, sharp, steps=40) < 0.7 * before
    changed = net(blur).detach()
    along = [(image.diff(dim=2).abs().mean() / image.diff(dim=1).abs().mean()).item() for image in changed]
    assert min(along[:2]) > max(along[2:]), "horizontal motion is undone along rows, vertical motion along columns"


def test_what_it_learns_of_one_direction_of_motion_holds_for_another():
    """Trained on horizontal streaks alone, it undoes vertical ones in a picture that it has not seen."""
    torch.manual_seed(0)
    blur, sharp = stacked(blurred_pairs(LINE, SEEN))
    net = SpectralFilter(16, 32, 1)
    learn(net, blur, sharp, steps=60)
    with torch.no_grad():
        blur, sharp = stacked(blurred_pairs(LINE.T, UNSEEN))
        assert (blur + net(blur) - sharp).square().mean() < 0.8 * (blur - sharp).square().mean()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("spectral_windows", [64, 33]),
        ("spectral_windows", [2]),
        ("spectral_windows", []),
        ("spectral_channels", 0),
        ("spectral_filters", 0),
    ],
)
def test_impossible_spectral_options_are_refused(option, value):
    with pytest.raises(OptionError, match="spectral"):
        UMLINPlus(widths=[8, 8], **{option: value})
