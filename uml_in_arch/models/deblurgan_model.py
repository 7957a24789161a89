"""Adversarial training, registered in BasicSR as ``DeblurGANModel``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.errors import OptionError
from uml_in_arch.losses.perceptual_loss import require_weights
from uml_in_arch.losses.relativistic_loss import RelativisticLSLoss
from uml_in_arch.models import umlin_model
from uml_in_arch.options import OptimizerOptions

from basicsr.archs import build_network
from basicsr.archs.vgg_arch import VGG_PRETRAIN_PATH
from basicsr.losses import build_loss, gradient_penalty_loss
from basicsr.models.srgan_model import SRGANModel
from basicsr.utils.registry import MODEL_REGISTRY


class TrainOptions(umlin_model.TrainOptions):
    """The keys of ``train:`` that `DeblurGANModel` knows beside those of `UMLINModel`."""

    optim_d: OptimizerOptions
    gan_opt: dict[str, Any]
    critic_steps: PositiveInt = 1
    gradient_penalty: NonNegativeFloat = 0
    amp: None = None
    accumulate: Literal[1] = 1


@MODEL_REGISTRY.register()
class DeblurGANModel(umlin_model.UMLINModel, SRGANModel):
    """Trains a network with image losses and an adversarial loss, as DeblurGAN and DeblurGAN-v2 are.

    Each iteration restores a batch, takes ``critic_steps`` steps with the discriminator and one with the network. The
    discriminator sees pictures in [-1, 1] and returns one prediction or a list, whose losses are averaged.

    Sections and keys of ``train:`` beside `UMLINModel`'s (of which ``amp`` and ``accumulate`` do not apply):
        network_d, optim_d: the discriminator and its optimiser.
        gan_opt: BasicSR's ``GANLoss`` or `RelativisticLSLoss`.
        critic_steps: 5 in DeblurGAN, 1 in DeblurGAN-v2.
        gradient_penalty: factor of WGAN-GP's penalty, 10 in DeblurGAN; for discriminators with one prediction.
    """

    TrainOptions = TrainOptions
    FURTHER_NETWORKS: ClassVar[tuple[str, ...]] = ("network_d",)

    @classmethod
    def check_options(cls, opt: Mapping[str, Any]) -> None:
        """Refuse, with an `OptionError` or `CheckpointError`, what no single section shows."""
        super().check_options(opt)
        if not opt["is_train"]:
            return
        train = opt["train"]
        if "network_d" not in opt:
            raise OptionError("network_d: missing; add this section")
        kind = train["gan_opt"].get("type")
        if kind not in ("GANLoss", "RelativisticLSLoss"):
            raise OptionError(f"train.gan_opt.type: found {kind!r}; GANLoss or RelativisticLSLoss is expected")
        if train.get("gradient_penalty") and opt["network_d"]["type"] == "DoubleDiscriminator":
            raise OptionError("train.gradient_penalty: DoubleDiscriminator has two predictions; set it to 0")
        perceptual = train.get("perceptual_opt") or {}
        if perceptual.get("type") == "VGGFeatureLoss":
            require_weights(perceptual.get("weights", VGG_PRETRAIN_PATH))

    def init_training_settings(self) -> None:
        """Build the discriminator and its loss, then what `UMLINModel` has."""
        self.net_d = self.model_to_device(build_network(self.opt["network_d"]))
        self.print_network(self.net_d)
        path = self.opt["path"]
        if path.get("pretrain_network_d"):
            key = path.get("param_key_d", "params")
            self.load_network(self.net_d, path["pretrain_network_d"], path.get("strict_load_d", True), key)
        self.net_d.train()
        train = self.opt["train"]
        self.cri_gan = build_loss(train["gan_opt"]).to(self.device)
        self.critic_steps = train.get("critic_steps", 1)
        self.gradient_penalty = train.get("gradient_penalty", 0)
        super().init_training_settings()

    def optimize_parameters(self, current_iter: int) -> None:
        """One iteration: steps of the discriminator, then one of the network."""
        self.trained_iter = current_iter
        losses, logged = self._compute_losses()
        real, fake = _symmetric(self.gt), _symmetric(self.output)
        for _ in range(self.critic_steps):
            logged |= self._step_discriminator(real, fake.detach())
        self.net_d.requires_grad_(False)
        judge = self.get_bare_model(self.net_d)
        adversarial = self._adversarial(judge(real), judge(fake), is_disc=False)
        self.net_d.requires_grad_(True)
        total = sum(losses.values()) + adversarial
        total.backward()
        self.window_is_finite = bool(torch.isfinite(total.detach()))
        self._step(current_iter)
        logged["l_gan"] = adversarial
        self.log_dict = self.reduce_loss_dict(OrderedDict((name, value.detach()) for name, value in logged.items()))
        self.log_dict["skipped"] = self.skipped_steps

    def _step_discriminator(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        self.optimizer_d.zero_grad()
        loss = self._adversarial(self.net_d(real), self.net_d(fake), is_disc=True)
        logged = {"l_d": loss}
        if self.gradient_penalty:
            penalty = self.gradient_penalty * gradient_penalty_loss(self.net_d, real, fake)
            logged["l_penalty"] = penalty
            loss = loss + penalty
        loss.backward()
        # without a bound this only measures; the gradients are the same on all ranks
        if torch.isfinite(nn.utils.get_total_norm([p.grad for p in self.net_d.parameters() if p.grad is not None])):
            self.optimizer_d.step()
        return logged

    def _adversarial(self, real: Tensor | list[Tensor], fake: Tensor | list[Tensor], is_disc: bool) -> Tensor:
        """Mean over the discriminator's predictions."""
        pairs = [(real, fake)] if isinstance(real, Tensor) else list(zip(real, fake, strict=True))
        return sum(self._one_adversarial(*pair, is_disc) for pair in pairs) / len(pairs)

    def _one_adversarial(self, real: Tensor, fake: Tensor, is_disc: bool) -> Tensor:
        if isinstance(self.cri_gan, RelativisticLSLoss):
            return self.cri_gan(real, fake, is_disc)
        if is_disc:
            return self.cri_gan(real, True, is_disc=True) + self.cri_gan(fake, False, is_disc=True)
        return self.cri_gan(fake, True)


def _symmetric(images: Tensor) -> Tensor:
    """[0, 1] to [-1, 1]."""
    return 2 * images - 1
