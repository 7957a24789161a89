"""Affine coupling for conditions that are deep features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.flows.base import Invertible, full_precision
from uml_in_arch.flows.coupling import check_clamp, check_condition, soft_clamp


class FeatureCoupling(Invertible):
    """Scales and shifts every channel, pixel by pixel, by linear functions of a deep feature.

    The first half of the channels is moved by the condition alone (the affine injector of SRFlow, section 3.3), the
    others by the condition and what became of the first half (the affine coupling of RealNVP, section 3.2):
    ``y = x * exp(s) + t`` with ``(s', t) = A cond + B y1``, rows of B zero for the first half, and ``s`` clamped as in
    `AffineCoupling`. Starts as the identity. A and B may run in bfloat16 under autocast; scale and shift are float32.

    Args:
        channels: number of channels C.
        cond_channels: channels of the condition, at least 1.
        clamp: bound of the absolute log-scale, greater than 0.

    Raises:
        ValueError: for no condition, for a clamp that is not positive, or in use for a condition of the wrong shape.
    """

    def __init__(self, channels: int, cond_channels: int, *, clamp: float = 1.0) -> None:
        super().__init__()
        if cond_channels < 1:
            raise ValueError("a feature coupling needs a condition of at least 1 channel")
        check_clamp(clamp)
        self.cond_channels = cond_channels
        self.clamp = clamp
        self.from_cond = nn.Parameter(torch.zeros(2 * channels, cond_channels))
        self.bias = nn.Parameter(torch.zeros(2 * channels))
        kept = channels // 2
        self.from_first = nn.Parameter(torch.zeros(2, channels - kept, kept))

    def transform(self, x: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Both directions drive the other channels by the first half of the result, so with the very same numbers."""
        check_condition(cond, self.cond_channels)
        # matrix products: a narrow result in the default memory format, whatever the format of the wide condition
        raw = torch.baddbmm(self.bias[:, None], self.from_cond.expand(x.shape[0], -1, -1), cond.flatten(2))
        first = x if inverse else self._affine(x, raw.to(x.dtype), inverse=False)[0]
        kept = self.from_first.shape[2]
        from_first = F.pad(self.from_first, (0, 0, kept, 0)).flatten(0, 1).expand(x.shape[0], -1, -1)
        raw = torch.baddbmm(raw, from_first, first[:, :kept].flatten(2))
        return self._affine(x, raw.to(x.dtype), inverse=inverse)

    def _affine(self, x: Tensor, raw: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
        with full_precision(x):
            raw_scale, shift = raw.unflatten(2, x.shape[2:]).chunk(2, dim=1)
            log_scale = soft_clamp(raw_scale, self.clamp)
            log_jacobian = log_scale.sum((1, 2, 3))
            if inverse:
                return (x - shift) * torch.exp(-log_scale), -log_jacobian
            return torch.addcmul(shift, x, torch.exp(log_scale)), log_jacobian
