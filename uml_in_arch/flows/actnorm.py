"""Activation normalisation with a data-dependent start."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from uml_in_arch.flows.base import Invertible, full_precision

# A channel that is constant in the first batch must not get an infinite scale. Detail bands of photographs in [0, 1]
# have standard deviations of 0.01 to 0.1.
MIN_STD = 1e-2


class ActNorm(Invertible):
    """Per-channel scale and shift, ``(x + bias) * exp(log_scale)`` (Glow, section 3.1).

    The first forward batch in training mode sets both so that its channels have mean 0 and standard deviation 1; in a
    distributed run the statistics are those of all ranks' batches together, so every rank gets the same values. The
    buffer ``initialized`` is saved with the parameters: a resumed run does not start over. A first batch with
    non-finite values is passed over. In evaluation mode an uninitialised ActNorm is the identity.

    Args:
        channels: number of channels C.
    """

    initialized: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.register_buffer("initialized", torch.tensor(False))
        self._seen_initialized = False  # spares a device synchronisation in every forward

    def transform(self, x: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Scale and shift; the first training batch through the forward direction initialises."""
        if self.training and not inverse and not self.is_initialized():
            self._initialize(x.detach())
        with full_precision(x):
            log_jacobian = self.log_scale.sum() * (x.shape[2] * x.shape[3])
            if inverse:
                return x * torch.exp(-self.log_scale) - self.bias, -log_jacobian
            return (x + self.bias) * torch.exp(self.log_scale), log_jacobian

    def is_initialized(self) -> bool:
        """Whether scale and shift have been set from data."""
        if not self._seen_initialized:
            self._seen_initialized = bool(self.initialized)
        return self._seen_initialized

    @torch.no_grad()
    def _initialize(self, x: Tensor) -> None:
        values = x.double()
        sums = torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
        count = values.new_full((1, sums.shape[1]), x.numel() / x.shape[1])
        statistics = torch.cat([sums, count])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(statistics)
        mean, second_moment = statistics[0] / statistics[2], statistics[1] / statistics[2]
        std = (second_moment - mean.square()).clamp_min(0).sqrt().clamp_min(MIN_STD)
        if not bool(torch.isfinite(std).all()):
            return
        self.bias.copy_(-mean.view_as(self.bias))
        self.log_scale.copy_(-std.log().view_as(self.log_scale))
        self.initialized.fill_(True)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._seen_initialized = False
