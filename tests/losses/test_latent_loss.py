"""Losses on latents."""

from __future__ import annotations

import pytest
import torch

from uml_in_arch.errors import OptionError
from uml_in_arch.flows import Latents
from uml_in_arch.losses import LatentSimilarityLoss, SparseLatentLoss


def latents(value: float) -> Latents:
    fine = torch.full((2, 9, 4, 4), value)
    fine[1] = 2 * value
    return Latents((fine.requires_grad_(),), torch.full((2, 3, 2, 2), value, requires_grad=True), (8, 8))


@pytest.mark.parametrize(
    ("reduction", "expected"), [("mean", 1.5 + 1), ("none", [2.0, 3.0]), ("sum", 144 + 288 + 24.0)]
)
def test_sparse_loss_reduces_per_level(reduction, expected):
    loss = SparseLatentLoss(loss_weight=0.1, reduction=reduction)(latents(-1.0))
    torch.testing.assert_close(loss, 0.1 * torch.tensor(expected))


def test_similarity_is_the_distance_of_the_pairs():
    loss = LatentSimilarityLoss(loss_weight=2.0)
    assert loss(latents(0.5), latents(0.5)) == 0
    torch.testing.assert_close(loss(latents(1.0), latents(0.5)), torch.tensor(2 * (0.75 + 0.5)))


@pytest.mark.parametrize("stop_gradient", [False, True])
def test_stop_gradient_leaves_the_sharp_latents_alone(stop_gradient):
    blur, sharp = latents(1.0), latents(0.5)
    LatentSimilarityLoss(stop_gradient=stop_gradient)(blur, sharp).backward()
    assert blur.base.grad is not None
    assert (sharp.base.grad is None) == stop_gradient


def test_unknown_reduction():
    with pytest.raises(OptionError, match="none, mean or sum"):
        SparseLatentLoss(reduction="median")
