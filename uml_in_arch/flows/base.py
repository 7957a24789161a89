"""The contract that every invertible module keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Invertible(nn.Module, ABC):
    """A bijection of feature maps, given an optional condition.

    ``forward(x, cond)`` and ``inverse(z, cond)`` undo each other for the same ``cond`` and leave their arguments
    untouched. With ``logdet=True`` each also returns log |det J| of the direction that was run, one number per sample.
    ``cond`` is never inverted, so it may be any tensor that both directions can have.
    """

    def forward(self, x: Tensor, cond: Tensor | None = None, *, logdet: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Map ``x`` (N, C, H, W) to its latent; with ``logdet`` also log |det dz/dx| of shape (N,)."""
        return self._run(x, cond, logdet, inverse=False)

    def inverse(self, z: Tensor, cond: Tensor | None = None, *, logdet: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Map a latent ``z`` back; with ``logdet`` also log |det dx/dz| of shape (N,)."""
        return self._run(z, cond, logdet, inverse=True)

    def _run(self, x: Tensor, cond: Tensor | None, logdet: bool, *, inverse: bool) -> Tensor | tuple[Tensor, Tensor]:
        if x.ndim != 4:
            raise ValueError(f"{type(self).__name__} takes (N, C, H, W), got a tensor of shape {tuple(x.shape)}")
        y, log_jacobian = self.transform(x, cond, inverse=inverse)
        if not logdet:
            return y
        return y, log_jacobian.to(y.dtype).expand(x.shape[0])

    @abstractmethod
    def transform(self, x: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Run one direction and return its result with log |det J|, of shape (N,) or, if equal for all samples, ()."""

    def replay(self, y: Tensor, cond: Tensor | None, *, inverse: bool) -> tuple[tuple[Tensor, ...], Tensor]:
        """Compute the input from the result of one direction, and the result from it again, for its gradients.

        Args:
            y: what ``transform(x, cond, inverse=inverse)`` returned.
            cond: as then.
            inverse: the direction that was run.

        Returns:
            The input in parts, leaves that require gradients, which are x when concatenated along the channels; and
            ``y`` as a function of them, ``cond`` and the parameters.
        """
        with torch.no_grad():
            x, _ = self.transform(y, cond, inverse=not inverse)
        x = x.detach().requires_grad_()
        return (x,), self.transform(x, cond, inverse=inverse)[0]


def full_precision(x: Tensor) -> torch.autocast:
    """A context in which autocast leaves float32 alone: invertible arithmetic in bfloat16 does not invert."""
    return torch.autocast(x.device.type, enabled=False)
