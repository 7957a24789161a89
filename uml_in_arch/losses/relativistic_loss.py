"""The adversarial loss of DeblurGAN-v2."""

from __future__ import annotations

from torch import Tensor, nn

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)

from basicsr.utils.registry import LOSS_REGISTRY


@LOSS_REGISTRY.register()
class RelativisticLSLoss(nn.Module):
    """RaGAN-LS: sharp pictures should be judged one higher than the average restored one, and the other way round.

    Kupyn et al., "DeblurGAN-v2", ICCV 2019, after Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019. The
    average is that of the batch, as in the latter; the public DeblurGAN-v2 code averages its last 50 batches.

    Args:
        loss_weight: factor for the generator; always 1 for the discriminator, as in BasicSR's ``GANLoss``.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, real: Tensor, fake: Tensor, is_disc: bool = False) -> Tensor:
        """The loss of a discriminator's judgements of sharp and of restored pictures, each of any shape.

        Args:
            real: judgements of sharp pictures.
            fake: judgements of restored pictures.
            is_disc: for the discriminator; else for the generator, which wants the opposite.
        """
        margin = 1 if is_disc else -1
        above = (real - fake.mean() - margin).square().mean()
        below = (fake - real.mean() + margin).square().mean()
        return (above + below) / 2 * (1 if is_disc else self.loss_weight)
