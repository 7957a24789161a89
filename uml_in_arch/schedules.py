"""A learning rate schedule that BasicSR lacks."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class LinearDecayLR(LRScheduler):
    """The first rate for a while, then straight down to 0, as DeblurGAN and DeblurGAN-v2 are trained.

    Args:
        optimizer: whose rates change.
        constant: iterations at the first rate.
        decay: iterations from there until the rate is 0.
    """

    def __init__(self, optimizer: Optimizer, constant: int, decay: int) -> None:
        self.constant = constant
        self.decay = decay
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """The rates after ``last_epoch`` iterations."""
        share = 1 - max(0, self.last_epoch - self.constant) / self.decay
        return [group["initial_lr"] * max(0.0, share) for group in self.optimizer.param_groups]
