"""Back-propagation through an invertible sequence that keeps its output only, not what lies between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from uml_in_arch.flows.base import Invertible


def run_reversibly(modules: Sequence[Invertible], x: Tensor, cond: Tensor | None, *, inverse: bool) -> Tensor:
    """Run modules one after the other in one direction; the backward pass computes their inputs anew from the result.

    Memory does not grow with the number of modules, and each is computed about once more than usual. Gradients reach
    ``x``, ``cond`` and the parameters, and are those of plain back-propagation up to rounding; second derivatives are
    refused. (Gomez et al., "The Reversible Residual Network", 2017.)

    Args:
        modules: in the order in which they run.
        x: (N, C, H, W), input of the first.
        cond: what all of them are conditioned on.
        inverse: the direction.
    """
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return _Reversible.apply(modules, inverse, x, cond, *parameters)


class _Reversible(torch.autograd.Function):
    """Parameters are arguments so that their gradients are returned, which distributed training waits for."""

    @staticmethod
    def forward(
        ctx: Any, modules: Sequence[Invertible], inverse: bool, x: Tensor, cond: Tensor | None, *parameters: Tensor
    ) -> Tensor:
        device = x.device.type
        ctx.modules, ctx.inverse = modules, inverse
        ctx.autocast = {"enabled": torch.is_autocast_enabled(device), "dtype": torch.get_autocast_dtype(device)}
        with _same_autocast(ctx, device):
            for module in modules:
                x, _ = module.transform(x, cond, inverse=inverse)
        ctx.save_for_backward(x, cond)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, cond = ctx.saved_tensors
        grad_cond = None
        of_parameters: list[Tensor | None] = []
        for module in reversed(ctx.modules):
            parameters = list(module.parameters())
            with torch.enable_grad(), _same_autocast(ctx, y.device.type):
                own_cond = None if cond is None else cond.detach().requires_grad_()
                parts, result = module.replay(y, own_cond, inverse=ctx.inverse)
                wanted = [*parts, *(() if own_cond is None else (own_cond,)), *parameters]
                wanted = [tensor for tensor in wanted if tensor.requires_grad]
                grads = torch.autograd.grad(result, wanted, grad, allow_unused=True)
            found = {id(tensor): own for tensor, own in zip(wanted, grads, strict=True)}
            of_parameters = [found.get(id(parameter)) for parameter in parameters] + of_parameters
            if own_cond is not None and found[id(own_cond)] is not None:
                grad_cond = found[id(own_cond)] if grad_cond is None else grad_cond + found[id(own_cond)]
            grad = torch.cat([found[id(part)] for part in parts], dim=1)
            y = torch.cat([part.detach() for part in parts], dim=1)
        return None, None, grad, grad_cond, *of_parameters


def _same_autocast(ctx: Any, device: str) -> torch.autocast:
    # without its cache: what is cast without gradients must not be taken where they are needed
    return torch.autocast(device, cache_enabled=False, **ctx.autocast)
