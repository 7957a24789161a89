"""Memory-saving back-propagation: the same gradients, and memory that does not grow with the number of steps."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from test_invertible import trained_like
from torch import Tensor

from uml_in_arch.flows import AffineCoupling, FeatureCoupling, FlowSequence, conv_subnet, flow_steps

COUPLINGS = {"affine": partial(AffineCoupling, subnet=conv_subnet(8)), "feature": FeatureCoupling}


def gradients(
    flow: FlowSequence, direction: str, cond: Tensor | None, *, autocast: bool = False
) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(1)
    flow.zero_grad()
    x = torch.randn(2, 5, 6, 4, dtype=next(flow.parameters()).dtype, requires_grad=True)
    cond = None if cond is None else cond.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        y = getattr(flow, direction)(x, cond)
    (y * torch.randn_like(y)).sum().backward()
    leaves = [x, *([] if cond is None else [cond]), *flow.parameters()]
    assert all(leaf.grad is not None for leaf in leaves)
    return y.detach(), [leaf.grad.clone() for leaf in leaves]


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize(("name", "cond_channels"), [("affine", 3), ("affine", 0), ("feature", 3)])
def test_gradients_are_those_of_plain_back_propagation(name: str, cond_channels: int, direction: str) -> None:
    torch.manual_seed(0)
    flow = trained_like(flow_steps(5, cond_channels, 4, COUPLINGS[name])).double()
    cond = torch.randn(2, cond_channels, 6, 4).double() if cond_channels else None
    plain = gradients(flow, direction, cond)
    flow.memory_saving = True
    saving = gradients(flow, direction, cond)
    assert torch.equal(saving[0], plain[0])
    for own, expected in zip(saving[1], plain[1], strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-6 * expected.abs().max().item())


@pytest.mark.parametrize("name", COUPLINGS)
def test_gradients_in_bfloat16_are_as_good_as_plain_ones(name: str) -> None:
    torch.manual_seed(0)
    flow, cond = trained_like(flow_steps(5, 3, 4, COUPLINGS[name])), torch.randn(2, 3, 6, 4)
    exact = torch.cat([grad.flatten() for grad in gradients(flow, "forward", cond)[1]])

    def error() -> float:
        found = gradients(flow, "forward", cond, autocast=True)[1]
        return float((torch.cat([grad.flatten() for grad in found]) - exact).norm() / exact.norm())

    plain = error()
    flow.memory_saving = True
    assert 0 < plain < 0.02
    assert error() < 2 * plain


def test_frozen_parameters_and_inputs_without_gradients() -> None:
    torch.manual_seed(0)
    flow, cond = trained_like(flow_steps(4, 3, 2, COUPLINGS["affine"])), torch.randn(1, 3, 4, 4)
    flow.memory_saving = True
    frozen = list(flow.steps[0].parameters())
    for parameter in frozen:
        parameter.requires_grad_(False)
    flow(torch.randn(1, 4, 4, 4), cond).square().sum().backward()
    assert all((parameter.grad is None) == any(parameter is one for one in frozen) for parameter in flow.parameters())


def saved_bytes(flow: FlowSequence) -> int:
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = flow(torch.randn(1, 6, 32, 32, requires_grad=True), torch.randn(1, 3, 32, 32))
    y.sum().backward()
    return sum(kept.values())


def test_what_is_kept_does_not_grow_with_the_number_of_steps() -> None:
    torch.manual_seed(0)
    few, many = (flow_steps(6, 3, steps, COUPLINGS["affine"]) for steps in (2, 16))
    assert saved_bytes(many) > 6 * saved_bytes(few)
    few.memory_saving = many.memory_saving = True
    assert saved_bytes(many) == saved_bytes(few) == 4 * 32 * 32 * (6 + 3)


def test_log_determinants_are_still_to_be_had() -> None:
    torch.manual_seed(0)
    flow, x = trained_like(flow_steps(4, 3, 2, FeatureCoupling)), torch.randn(2, 4, 4, 4)
    cond = torch.randn(2, 3, 4, 4)
    plain = flow(x, cond, logdet=True)[1]
    flow.memory_saving = True
    assert torch.equal(flow(x, cond, logdet=True)[1], plain)
