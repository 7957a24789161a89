"""Losses of the networks that ours is compared with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from uml_in_arch.errors import OptionError
from uml_in_arch.losses import EdgeLoss, FrequencyL1Loss, MultiScaleCharbonnierLoss, MultiScaleL1Loss, PSNRLoss

from basicsr.losses import build_loss


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(2, 3, 16, 20, dtype=torch.float64, generator=generator) for _ in range(2))


@pytest.fixture
def scales(pair: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Predictions coarse to fine."""
    return [F.avg_pool2d(pair[0], 4), F.avg_pool2d(pair[0], 2), pair[0]]


class TestPSNRLoss:
    def test_is_the_mean_of_the_negative_psnr(self, pair: tuple[Tensor, Tensor]) -> None:
        pred, target = (batch.numpy() for batch in pair)
        psnr = [10 * math.log10(1 / np.mean((a - b) ** 2)) for a, b in zip(pred, target, strict=True)]
        assert PSNRLoss()(*pair).item() == pytest.approx(-np.mean(psnr), abs=1e-5)
        assert PSNRLoss(loss_weight=0.5, reduction="sum")(*pair).item() == pytest.approx(-0.5 * sum(psnr), abs=1e-5)
        assert PSNRLoss(reduction="none")(*pair).tolist() == pytest.approx([-value for value in psnr], abs=1e-5)

    def test_equal_pictures_have_a_finite_loss_and_gradient(self, pair: tuple[Tensor, Tensor]) -> None:
        pred = pair[1].clone().requires_grad_()
        loss = PSNRLoss()(pred, pair[1])
        loss.backward()
        assert loss.item() == pytest.approx(-80)
        assert pred.grad.abs().max() == 0

    def test_shapes_must_be_equal(self, pair: tuple[Tensor, Tensor]) -> None:
        with pytest.raises(OptionError, match="equal shape"):
            PSNRLoss()(pair[0][..., :10], pair[1])


class TestMultiScaleL1Loss:
    def test_one_scale_is_the_mean_absolute_error(self, pair: tuple[Tensor, Tensor]) -> None:
        expected = F.l1_loss(*pair)
        assert torch.allclose(MultiScaleL1Loss()(*pair), expected)
        assert torch.allclose(MultiScaleL1Loss()([pair[0]], pair[1]), expected)

    def test_sums_the_scales_against_the_reduced_ground_truth(
        self, scales: list[Tensor], pair: tuple[Tensor, Tensor]
    ) -> None:
        halves = [F.interpolate(pair[1], scale_factor=factor, mode="bilinear") for factor in (0.25, 0.5)]
        parts = [F.l1_loss(image, truth) for image, truth in zip(scales, [*halves, pair[1]], strict=True)]
        assert torch.allclose(MultiScaleL1Loss(loss_weight=2.0)(scales, pair[1]), 2 * sum(parts))
        # bilinear at one half is the mean of four pixels
        assert torch.allclose(halves[1], F.avg_pool2d(pair[1], 2))

    def test_reductions(self, scales: list[Tensor], pair: tuple[Tensor, Tensor]) -> None:
        each = MultiScaleL1Loss(reduction="none")(scales, pair[1])
        assert each.shape == (2,)
        assert torch.allclose(each.mean(), MultiScaleL1Loss()(scales, pair[1]))
        assert torch.allclose(MultiScaleL1Loss(reduction="sum")(*pair), (pair[0] - pair[1]).abs().sum())
        with pytest.raises(OptionError, match="none, mean or sum"):
            MultiScaleL1Loss(reduction="average")

    @pytest.mark.parametrize("shape", [(2, 3, 32, 40), (2, 1, 16, 20), (1, 3, 16, 20)])
    def test_refuses_what_is_no_smaller_version(self, pair: tuple[Tensor, Tensor], shape: tuple[int, ...]) -> None:
        with pytest.raises(OptionError, match="equal shape"):
            MultiScaleL1Loss()([torch.zeros(shape), pair[0]], pair[1])


class TestFrequencyL1Loss:
    @pytest.mark.parametrize("size", [(16, 20), (16, 21), (15, 1), (7, 2)])
    def test_equals_the_mean_over_all_frequencies(self, size: tuple[int, int]) -> None:
        generator = torch.Generator().manual_seed(1)
        pred, target = (torch.rand(2, 3, *size, dtype=torch.float64, generator=generator) for _ in range(2))
        full = torch.view_as_real(torch.fft.fft2(pred) - torch.fft.fft2(target)).abs()
        assert torch.allclose(FrequencyL1Loss(loss_weight=0.1)(pred, target), 0.1 * full.mean())
        assert torch.allclose(FrequencyL1Loss(reduction="sum")(pred, target), full.sum())
        assert torch.allclose(FrequencyL1Loss(reduction="none")(pred, target), full.flatten(1).mean(1))

    def test_sums_the_scales(self, scales: list[Tensor], pair: tuple[Tensor, Tensor]) -> None:
        loss = FrequencyL1Loss()
        parts = [loss(image, F.interpolate(pair[1], size=image.shape[2:], mode="bilinear")) for image in scales]
        assert torch.allclose(loss(scales, pair[1]), sum(parts))

    def test_gradient(self, pair: tuple[Tensor, Tensor]) -> None:
        pred = pair[0][:1, :1, :4, :5].clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: FrequencyL1Loss()(x, pair[1][:1, :1, :4, :5]), pred)


class TestCharbonnierAndEdges:
    def test_charbonnier_of_several_stages(self, pair: tuple[Tensor, Tensor]) -> None:
        expected = ((pair[0] - pair[1]).square() + 1e-6).sqrt().mean()
        assert torch.allclose(MultiScaleCharbonnierLoss()([pair[0], pair[0]], pair[1]), 2 * expected)
        assert MultiScaleCharbonnierLoss()(pair[1], pair[1]).item() == pytest.approx(1e-3)

    def test_edges_do_not_see_what_is_even(self, pair: tuple[Tensor, Tensor]) -> None:
        # the two inner pixels at each border see repeated ones, so only the rest is free of a constant
        brighter = pair[1] + 0.25
        assert MultiScaleCharbonnierLoss()(brighter, pair[1]) > 0.2
        assert EdgeLoss()(brighter, pair[1]) < 0.05

    def test_edge_of_a_point(self) -> None:
        """By hand: the kernel's centre is 0.16, and four of its neighbours at distance 2 are kept, times 4."""
        point = torch.zeros(1, 1, 13, 13, dtype=torch.float64)
        point[0, 0, 6, 6] = 1
        row = np.array([0.05, 0.25, 0.4, 0.25, 0.05])
        smooth = np.zeros((13, 13))
        smooth[4:9, 4:9] = np.outer(row, row)
        reduced = np.zeros((13, 13))
        reduced[::2, ::2] = 4 * smooth[::2, ::2]
        enlarged = sum(
            np.roll(reduced, (down, right), (0, 1)) * row[down + 2] * row[right + 2]
            for down in range(-2, 3)
            for right in range(-2, 3)
        )
        laplacian = point[0, 0].numpy() - enlarged
        expected = np.sqrt(laplacian**2 + 1e-6)[2:-2, 2:-2].sum()
        each = EdgeLoss(reduction="sum")(point, torch.zeros_like(point)).item()
        assert each == pytest.approx(expected + (169 - 81) * 1e-3, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "is_multi_scale"),
    [
        ("PSNRLoss", False),
        ("MultiScaleL1Loss", True),
        ("FrequencyL1Loss", True),
        ("MultiScaleCharbonnierLoss", True),
        ("EdgeLoss", True),
    ],
)
def test_registered_with_a_weight(name: str, is_multi_scale: bool, pair: tuple[Tensor, Tensor]) -> None:
    one, three = (build_loss({"type": name, "loss_weight": weight, "reduction": "mean"}) for weight in (1.0, 3.0))
    assert torch.allclose(3 * one(*pair), three(*pair))
    assert getattr(one, "multi_scale", False) is is_multi_scale
