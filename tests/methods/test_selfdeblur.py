"""SelfDeblur: its size, its blur model, and that it deblurs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from uml_in_arch.errors import DataError
from uml_in_arch.methods import METHOD_REGISTRY, SelfDeblur
from uml_in_arch.methods.selfdeblur import BlindFit, ImageGenerator, KernelGenerator, convolve
from uml_in_arch.metrics.aligned import calculate_psnr_aligned

from basicsr.utils import tensor2img

SMALL = {"iterations": 150, "kernel_size": [9, 9], "channels": 16}
BORDER = 4


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """A blurry and a sharp picture, (1, 3, 56, 56): flat grey rectangles under a horizontal blur of 9 pixels."""
    rng = np.random.default_rng(0)
    sharp = torch.full((1, 3, 56, 64), 0.5)
    for _ in range(14):
        (y, x), (height, width) = rng.integers(0, 50, 2), rng.integers(6, 20, 2)
        sharp[..., y : y + height, x : x + width] = rng.uniform(0, 1)
    return convolve(sharp, torch.full((1, 9), 1 / 9)), sharp[..., 4:-4]


def psnr(picture: Tensor, truth: Tensor) -> float:
    images = [tensor2img(image.clone()) for image in (picture, truth)]
    return calculate_psnr_aligned(*images, crop_border=BORDER, max_shift=BORDER)


def test_has_the_published_number_of_parameters() -> None:
    counts = [sum(p.numel() for p in net.parameters()) for net in (ImageGenerator(128), KernelGenerator((21, 21)))]
    assert counts == [2_365_521, 642_441]
    assert SelfDeblur().parameters() == sum(counts)


def test_convolution_is_that_of_the_definition() -> None:
    torch.manual_seed(0)
    image, kernel = torch.rand(1, 2, 20, 23), torch.rand(4, 7)
    expected = F.conv2d(image, kernel.flip(0, 1).expand(2, 1, 4, 7), groups=2)
    assert torch.allclose(convolve(image, kernel), expected, atol=1e-5)


def test_deblurs_an_easy_picture(pair: tuple[Tensor, Tensor]) -> None:
    blurry, sharp = pair
    told: list[int] = []
    restored = SelfDeblur(**SMALL).restore(blurry, told.append)
    assert told == list(range(1, 151))
    assert restored.shape == blurry.shape
    assert not restored.requires_grad
    assert restored.min() >= 0 and restored.max() <= 1
    assert psnr(restored, sharp) > psnr(blurry, sharp) + 2


def test_data_term_falls_under_both_losses(pair: tuple[Tensor, Tensor]) -> None:
    fit = BlindFit(pair[0].mean(1, keepdim=True), SelfDeblur(**SMALL))
    losses = [fit.step() for _ in range(150)]
    assert losses[25] < losses[0] / 4
    assert losses[149] < losses[30] / 4
    assert fit.kernel.sum() == pytest.approx(1, abs=1e-5)
    assert (fit.kernel >= 0).all()


def test_chroma_stays() -> None:
    blurry = torch.rand(1, 3, 40, 44, generator=torch.Generator().manual_seed(0))
    restored = SelfDeblur(3, [5, 7], channels=4).restore(blurry)
    inside = ((restored > 0) & (restored < 1)).all(1)
    change = restored - blurry
    assert torch.allclose((change[:, 0] - change[:, 2])[inside], torch.zeros(()), atol=1e-6)
    assert change.abs().max() > 0.01


def test_seed_decides_and_nobody_else_s_random_numbers_change(pair: tuple[Tensor, Tensor]) -> None:
    results = []
    for own, others in ((0, 1), (0, 2), (5, 2)):
        torch.manual_seed(others)
        expected = torch.random.get_rng_state()
        results.append(SelfDeblur(2, channels=4, seed=own).restore(pair[0]))
        assert torch.equal(torch.random.get_rng_state(), expected)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize(("size", "kernel", "fits"), [((33, 50), 1, True), ((32, 50), 1, False), ((13, 40), 21, True)])
def test_smallest_picture(size: tuple[int, int], kernel: int, fits: bool) -> None:
    method = SelfDeblur(1, [kernel, kernel], channels=4)
    if fits:
        assert method.restore(torch.rand(1, 3, *size)).shape == (1, 3, *size)
    else:
        with pytest.raises(DataError, match="50x32 pixels are too few"):
            method.restore(torch.rand(1, 3, *size))


def test_is_registered() -> None:
    assert METHOD_REGISTRY.get("SelfDeblur") is SelfDeblur
