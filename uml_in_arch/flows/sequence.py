"""Composition of invertible modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from uml_in_arch.flows.actnorm import ActNorm
from uml_in_arch.flows.base import Invertible
from uml_in_arch.flows.conv1x1 import OrthogonalConv1x1
from uml_in_arch.flows.reversible import run_reversibly


class FlowSequence(Invertible):
    """Invertible modules run one after the other, all with the same condition; the inverse runs them backwards.

    Attributes:
        memory_saving: keep nothing between the modules for the backward pass (`run_reversibly`). Not for runs that
            ask for ``logdet``.
    """

    memory_saving = False

    def __init__(self, modules: Iterable[Invertible]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(modules)

    def transform(self, x: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Run all modules; log-determinants add up."""
        log_jacobian = x.new_zeros(())
        for module in self._in_order(inverse):
            x, part = module.transform(x, cond, inverse=inverse)
            log_jacobian = log_jacobian + part
        return x, log_jacobian

    def _run(self, x: Tensor, cond: Tensor | None, logdet: bool, *, inverse: bool) -> Tensor | tuple[Tensor, Tensor]:
        if self.memory_saving and torch.is_grad_enabled() and not logdet:
            return run_reversibly(self._in_order(inverse), x, cond, inverse=inverse)
        return super()._run(x, cond, logdet, inverse=inverse)

    def _in_order(self, inverse: bool) -> list[Invertible]:
        return list(self.steps)[::-1] if inverse else list(self.steps)


def flow_steps(
    channels: int, cond_channels: int, num_steps: int, coupling: Callable[[int, int], Invertible]
) -> FlowSequence:
    """A sequence of Glow's flow steps: ActNorm, 1x1 convolution, coupling.

    Args:
        channels: number of channels.
        cond_channels: channels of the condition, 0 for none.
        num_steps: number of steps K.
        coupling: called with (channels, channels of the condition), makes a coupling.

    A single channel cannot be split, and without a condition there is nothing to couple it to: its steps are ActNorm
    and the 1x1 convolution alone.
    """
    modules: list[Invertible] = []
    for _ in range(num_steps):
        modules += [ActNorm(channels), OrthogonalConv1x1(channels)]
        if channels // 2 + cond_channels > 0:
            modules.append(coupling(channels, cond_channels))
    return FlowSequence(modules)
