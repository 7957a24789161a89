"""ActNorm's data-dependent start."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from uml_in_arch.flows import ActNorm


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(4, 3, 8, 8) * torch.tensor([0.5, 2.0, 1.0]).view(3, 1, 1) + 3


def test_first_training_batch_normalises_and_later_ones_do_not_move_it(batch):
    norm = ActNorm(3)
    y = norm(batch)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3), unbiased=False), torch.ones(3))
    before = copy.deepcopy(norm.state_dict())
    norm(batch * 7)
    torch.testing.assert_close(norm.state_dict(), before)


def test_evaluation_and_inverse_leave_it_alone(batch):
    norm = ActNorm(3)
    torch.testing.assert_close(norm.eval()(batch), batch)
    norm.train().inverse(batch)
    assert not norm.initialized


def test_start_survives_saving_and_loading(batch, tmp_path):
    norm = ActNorm(3)
    norm(batch)
    torch.save(norm.state_dict(), tmp_path / "norm.pth")
    resumed = ActNorm(3)
    resumed.load_state_dict(torch.load(tmp_path / "norm.pth"))
    torch.testing.assert_close(resumed(batch * 5), norm(batch * 5))
    torch.testing.assert_close(resumed.log_scale, norm.log_scale)


def test_constant_channel_and_non_finite_batch(batch):
    norm = ActNorm(3)
    batch[:, 1] = 0.25
    norm(batch.clone().fill_(math.nan))
    assert not norm.initialized and torch.equal(norm.bias, torch.zeros(3, 1, 1))
    y = norm(batch)
    assert norm.initialized and torch.isfinite(y).all()
    torch.testing.assert_close(norm.inverse(y), batch)


def _initialise_on_rank(rank: int, batch: torch.Tensor, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    norm = ActNorm(3)
    norm(batch.chunk(2)[rank])
    torch.save(norm.state_dict(), f"{folder}/{rank}.pth")
    dist.destroy_process_group()


def test_two_ranks_start_from_the_statistics_of_both(batch, tmp_path):
    alone = ActNorm(3)
    alone(batch)
    mp.spawn(_initialise_on_rank, (batch, str(tmp_path)), nprocs=2)
    states = [torch.load(tmp_path / f"{rank}.pth") for rank in range(2)]
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)
    torch.testing.assert_close(states[0], alone.state_dict())
