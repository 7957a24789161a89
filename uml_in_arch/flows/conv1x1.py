"""Invertible 1x1 convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.flows.base import Invertible, full_precision


class OrthogonalConv1x1(Invertible):
    """Mixes channels by an orthogonal matrix ``W = W0 expm(A - A^T)``.

    W0 is a random rotation, drawn once; A is learned and starts at 0. The inverse is the transpose and log |det| is 0,
    so no weight can make the layer hard to invert. (Glow's 1x1 convolution, section 3.2, with the parametrisation of
    orthogonal matrices by the exponential of a skew-symmetric one.)

    Args:
        channels: number of channels C.
    """

    base: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("base", torch.linalg.qr(torch.randn(channels, channels))[0])
        self.generator = nn.Parameter(torch.zeros(channels, channels))

    def weight(self) -> Tensor:
        """The orthogonal matrix, (C, C)."""
        return self.base @ torch.linalg.matrix_exp(self.generator - self.generator.T)

    def transform(self, x: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Multiply every pixel's channels by W, or by its transpose."""
        with full_precision(x):
            weight = self.weight()
            matrix = weight.T if inverse else weight
            return F.conv2d(x, matrix[:, :, None, None].to(x.dtype)), x.new_zeros(())
