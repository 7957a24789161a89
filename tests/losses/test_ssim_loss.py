from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import structural_similarity

import uml_in_arch.losses  # noqa: F401  (registers)
from uml_in_arch.losses.ssim_loss import SSIMLoss, ssim_map

from basicsr.losses import build_loss

PHOTOGRAPHS = {"coffee": data.coffee(), "astronaut": data.astronaut(), "smallest": data.chelsea()[:11, :13]}


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    coffee = data.coffee()[100:164, 200:280]
    return tensor(cv2.blur(coffee, (7, 7))), tensor(coffee)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_equals_scikit_image(name: str) -> None:
    sharp = PHOTOGRAPHS[name]
    for other in (cv2.blur(sharp, (9, 9)), 255 - sharp, np.zeros_like(sharp)):
        expected = structural_similarity(
            sharp / 255.0,
            other / 255.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=2,
        )
        assert 1 - SSIMLoss()(tensor(other), tensor(sharp)).item() == pytest.approx(expected, abs=1e-5)


def test_from_options_with_weight_and_reductions() -> None:
    blurry, sharp = pair()
    values = {
        reduction: build_loss({"type": "SSIMLoss", "loss_weight": 0.5, "reduction": reduction})(blurry, sharp)
        for reduction in ("none", "mean", "sum")
    }
    assert values["none"].shape == (1, 3, 54, 70)
    assert torch.allclose(values["none"], 0.5 * (1 - ssim_map(blurry, sharp)))
    assert values["mean"].item() == pytest.approx(values["none"].mean().item())
    assert values["sum"].item() == pytest.approx(values["none"].sum().item(), rel=1e-5)
    assert 0 < values["mean"] < 0.5
    assert SSIMLoss()(sharp, sharp).item() == pytest.approx(0, abs=1e-6)


def test_gradient_is_right() -> None:
    torch.manual_seed(0)
    pred, target = torch.rand(2, 1, 2, 12, 13, dtype=torch.float64)
    assert torch.autograd.gradcheck(SSIMLoss(), (pred.requires_grad_(), target.requires_grad_()))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("other", [0.0, 1.0, None])
def test_gradient_is_finite_where_nothing_varies(level: float, other: float | None) -> None:
    pred = torch.full((1, 3, 16, 16), level, requires_grad=True)
    target = torch.full((1, 3, 16, 16), level if other is None else other)
    SSIMLoss()(pred, target).backward()
    assert torch.isfinite(pred.grad).all()


def test_gradient_of_equal_pictures_is_finite() -> None:
    _, sharp = pair()
    pred = sharp.clone().requires_grad_()
    SSIMLoss()(pred, sharp).backward()
    assert pred.grad.abs().max() < 1e-4


def test_half_precision_and_autocast_are_computed_in_float32() -> None:
    blurry, sharp = pair()
    expected = SSIMLoss()(blurry, sharp)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = SSIMLoss()(blurry, sharp)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, expected)

    half = blurry.bfloat16()
    loss = SSIMLoss()(half, sharp)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, SSIMLoss()(half.float(), sharp))


def test_descent_brings_a_picture_back() -> None:
    blurry, sharp = pair()
    pred = blurry.clone().requires_grad_()
    optimizer = torch.optim.Adam([pred], lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        SSIMLoss()(pred, sharp).backward()
        optimizer.step()
    inside = np.s_[..., 5:-5, 5:-5]
    assert ((pred - sharp)[inside] ** 2).mean() < 0.3 * ((blurry - sharp)[inside] ** 2).mean()


@pytest.mark.parametrize(
    ("shape", "shape2"),
    [((1, 3, 10, 40), (1, 3, 10, 40)), ((3, 40, 40), (3, 40, 40)), ((1, 3, 40, 40), (1, 1, 40, 40))],
)
def test_impossible_shapes(shape: tuple[int, ...], shape2: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="SSIM"):
        SSIMLoss()(torch.rand(shape), torch.rand(shape2))


def test_impossible_reduction() -> None:
    with pytest.raises(ValueError, match="none, mean or sum"):
        SSIMLoss(reduction="average")
