"""Conditional affine coupling by a network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from uml_in_arch.flows.base import Invertible, full_precision

SubnetFactory = Callable[[int, int], nn.Module]


class AffineCoupling(Invertible):
    """Scales and shifts the second half of the channels by a network of the first half and the condition.

    ``y2 = x2 * exp(s) + t`` with ``(s, t) = subnet([x1, cond])`` (RealNVP, section 3.2; conditional as in cINN), the
    log-scale clamped by `soft_clamp`. The subnet may run in bfloat16 under autocast; scale and shift are float32.

    Args:
        channels: number of channels C; the first C // 2 pass unchanged.
        cond_channels: channels of the condition, 0 for none.
        subnet: called with (input channels, output channels), makes a network that takes a list of feature maps, those
            channels wide together; its last layer should start at zero, then the coupling starts as the identity.
        clamp: bound of the absolute log-scale, greater than 0.

    Raises:
        ValueError: for nothing to compute from (one channel and no condition), for a clamp that is not positive, or in
            use for a condition of the wrong shape.
    """

    def __init__(self, channels: int, cond_channels: int, subnet: SubnetFactory, *, clamp: float = 1.0) -> None:
        super().__init__()
        self.split = channels // 2
        if self.split + cond_channels == 0:
            raise ValueError("a coupling of one channel needs a condition")
        check_clamp(clamp)
        self.cond_channels = cond_channels
        self.clamp = clamp
        self.subnet = subnet(self.split + cond_channels, 2 * (channels - self.split))

    def transform(self, x: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Transform the last channels; the first ones and the condition are the same in both directions."""
        kept, moved = x[:, : self.split], x[:, self.split :]
        log_scale, shift = self._scale_and_shift(kept, cond)
        with full_precision(x):
            log_jacobian = log_scale.sum((1, 2, 3))
            moved = _affine(moved, log_scale, shift, inverse=inverse)
            return torch.cat([kept, moved], dim=1), -log_jacobian if inverse else log_jacobian

    def replay(self, y: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[tuple[Tensor, ...], Tensor]:
        """As `Invertible.replay`; what drives the subnet survives the coupling, so the subnet runs only once."""
        kept = y[:, : self.split].detach().requires_grad_()
        log_scale, shift = self._scale_and_shift(kept, cond)
        with full_precision(y):
            with torch.no_grad():
                moved = _affine(y[:, self.split :], log_scale, shift, inverse=not inverse)
            moved.requires_grad_()
            return (kept, moved), torch.cat([kept, _affine(moved, log_scale, shift, inverse=inverse)], dim=1)

    def _scale_and_shift(self, kept: Tensor, cond: Tensor | None) -> tuple[Tensor, Tensor]:
        check_condition(cond, self.cond_channels)
        drivers = [part for part in (kept, cond) if part is not None and part.shape[1]]
        raw_scale, shift = self.subnet(drivers).to(kept.dtype).chunk(2, dim=1)
        return soft_clamp(raw_scale, self.clamp), shift


def _affine(x: Tensor, log_scale: Tensor, shift: Tensor, *, inverse: bool) -> Tensor:
    return (x - shift) * torch.exp(-log_scale) if inverse else x * torch.exp(log_scale) + shift


def soft_clamp(raw_scale: Tensor, clamp: float) -> Tensor:
    """``clamp * tanh(raw_scale / clamp)``: slope 1 at 0, never beyond ``+-clamp``."""
    # tanh(x) = 2 sigmoid(2 x) - 1, and sigmoid is six times as quick as tanh or atan on a CPU
    return torch.sigmoid(raw_scale * (2 / clamp)) * (2 * clamp) - clamp


def check_clamp(clamp: float) -> None:
    """Refuse a bound that is not positive with a ValueError."""
    if not clamp > 0:
        raise ValueError(f"clamp must be greater than 0, got {clamp}")


def check_condition(cond: Tensor | None, channels: int) -> None:
    """Refuse a condition of another number of channels, none being 0, with a ValueError."""
    got = 0 if cond is None else cond.shape[1]
    if got != channels:
        raise ValueError(f"the coupling takes a condition of {channels} channels, got {got}")
