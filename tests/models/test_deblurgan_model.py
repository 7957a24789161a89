"""Adversarial training and its parts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from tiny import make_options
from torch import Tensor
from torch.nn import functional as F

from uml_in_arch import option_check, options
from uml_in_arch.archs import DoubleDiscriminator, PatchDiscriminator
from uml_in_arch.errors import CheckpointError, OptionError
from uml_in_arch.losses import RelativisticLSLoss, VGGFeatureLoss
from uml_in_arch.models import DeblurGANModel

from basicsr.models import build_model

WGAN = {
    "gan_opt": {"type": "GANLoss", "gan_type": "wgan", "loss_weight": 0.01},
    "critic_steps": 3,
    "gradient_penalty": 10.0,
}
RELATIVISTIC = {"gan_opt": {"type": "RelativisticLSLoss", "loss_weight": 0.01}}
DISCRIMINATORS = {"PatchDiscriminator": WGAN, "DoubleDiscriminator": RELATIVISTIC}


def gan_options(folder: Path, discriminator: str) -> dict[str, Any]:
    """Those of `make_options`, adversarial."""
    opt = make_options(folder)
    opt["model_type"] = "DeblurGANModel"
    opt["network_d"] = {"type": discriminator, "width": 4}
    opt["train"] |= {"optim_d": {"type": "Adam", "lr": 0.001}, **DISCRIMINATORS[discriminator]}
    return opt


def make_model(folder: Path, opt: dict[str, Any]) -> DeblurGANModel:
    """As BasicSR's training script makes it."""
    opt = copy.deepcopy(opt)
    opt["path"] |= {"models": str(folder), "training_states": str(folder)}
    return build_model({**opt, "is_train": True, "dist": False, "rank": 0, "world_size": 1})


def step(model: DeblurGANModel, batch: dict[str, Tensor], iteration: int) -> None:
    model.feed_data(batch)
    model.optimize_parameters(iteration)


def parameters(model: DeblurGANModel) -> dict[str, Tensor]:
    nets = {"g": model.net_g, "d": model.net_d}
    return {f"{name}.{key}": p.detach().clone() for name, net in nets.items() for key, p in net.named_parameters()}


@pytest.fixture
def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sharp = F.avg_pool2d(torch.rand(2, 3, 48, 48, generator=generator), 3, stride=1, padding=1)
    return {"lq": F.avg_pool2d(sharp, 5, stride=1, padding=2), "gt": sharp}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("discriminator", sorted(DISCRIMINATORS))
def test_both_networks_learn_and_everything_is_logged(
    discriminator: str, tmp_path: Path, batch: dict[str, Tensor]
) -> None:
    model = make_model(tmp_path, gan_options(tmp_path, discriminator))
    before = parameters(model)
    for iteration in (1, 2):
        step(model, batch, iteration)
    after = parameters(model)
    assert all(bool(torch.isfinite(weight).all()) for weight in after.values())
    # a bias right before an instance norm has no effect, so its gradient is rounding errors
    assert all(not torch.equal(before[key], after[key]) for key in after if key.endswith("weight"))
    penalty = {"l_penalty"} if discriminator == "PatchDiscriminator" else set()
    assert model.get_current_log().keys() == {"l_pixel", "l_d", "l_gan", "skipped"} | penalty
    steps = [next(iter(optimizer.state.values()))["step"] for optimizer in model.optimizers]
    assert steps == [2, 2 * DISCRIMINATORS[discriminator].get("critic_steps", 1)]


@pytest.mark.parametrize("discriminator", sorted(DISCRIMINATORS))
def test_training_goes_on_where_it_stopped(discriminator: str, tmp_path: Path, batch: dict[str, Tensor]) -> None:
    opt = gan_options(tmp_path, discriminator)
    model = make_model(tmp_path, opt)
    step(model, batch, 1)
    model.save(0, 1)
    opt["path"] |= {f"pretrain_network_{label}": str(tmp_path / f"net_{label}_1.pth") for label in "gd"}
    resumed = make_model(tmp_path, opt)
    resumed.resume_training(torch.load(tmp_path / "1.state", weights_only=True))
    for either in (model, resumed):
        torch.manual_seed(1)  # the gradient penalty draws pictures in between
        step(either, batch, 2)
    torch.testing.assert_close(parameters(resumed), parameters(model))


def test_both_rates_fall_linearly_and_go_on_after_a_resume(tmp_path: Path) -> None:
    opt = gan_options(tmp_path, "PatchDiscriminator")
    opt["train"]["scheduler"] = {"type": "LinearDecayLR", "constant": 2, "decay": 4}
    model = make_model(tmp_path, opt)
    rates = []
    for _ in range(8):
        rates.append([optimizer.param_groups[0]["lr"] * 1e3 for optimizer in model.optimizers])
        for optimizer, schedule in zip(model.optimizers, model.schedulers, strict=True):
            optimizer.step()
            schedule.step()
    assert rates == [pytest.approx([share, share]) for share in (1, 1, 1, 0.75, 0.5, 0.25, 0, 0)]
    resumed = make_model(tmp_path, opt).schedulers[0]
    resumed.load_state_dict({**model.schedulers[0].state_dict(), "last_epoch": 4})
    assert resumed.get_lr() == [pytest.approx(0.5e-3)]


def test_critic_learns_to_tell_sharp_from_restored(tmp_path: Path, batch: dict[str, Tensor]) -> None:
    opt = gan_options(tmp_path, "PatchDiscriminator")
    opt["train"] |= {"critic_steps": 1, "gradient_penalty": 1.0}
    opt["train"]["optim_g"]["lr"] = 1e-12  # it stands still
    model = make_model(tmp_path, opt)
    distances = []
    for iteration in range(1, 31):
        step(model, batch, iteration)
        distances.append(model.get_current_log()["l_d"])
    assert distances[-1] < distances[0] - 0.5


def test_non_finite_steps_change_neither_network(tmp_path: Path, batch: dict[str, Tensor]) -> None:
    model = make_model(tmp_path, gan_options(tmp_path, "PatchDiscriminator"))
    step(model, batch, 1)
    good = parameters(model)
    step(model, {**batch, "gt": batch["gt"] * torch.nan}, 2)
    torch.testing.assert_close(parameters(model), good)
    assert model.get_current_log()["skipped"] == 1


@pytest.mark.parametrize(
    ("section", "change", "expected"),
    [
        (None, {"network_d": None}, "network_d: missing"),
        ("train", {"gan_opt": {"type": "L1Loss"}}, "train.gan_opt.type: found 'L1Loss'"),
        ("train", {"gan_opt": None}, "train.gan_opt"),
        ("train", {"optim_d": None}, "train.optim_d"),
        ("train", {"accumulate": 2}, "train.accumulate: found 2"),
        ("train", {"critic_steps": 0}, "train.critic_steps: found 0"),
        ("train", {"gradient_penalty": 10.0}, "train.gradient_penalty: DoubleDiscriminator has two predictions"),
        ("network_d", {"widht": 3}, "network_d.widht: unknown key; did you mean 'width'?"),
        (
            "train",
            {"perceptual_opt": {"type": "VGGFeatureLoss", "weights": "no.pth"}},
            "no.pth: there is no such file; get torchvision's vgg19-dcbb9e9d.pth",
        ),
        (
            "train",
            {"perceptual_opt": {"type": "VGGFeatureLoss"}},
            "experiments/pretrained_models/vgg19-dcbb9e9d.pth: there is no such file",
        ),
        (
            "train",
            {"scheduler": {"type": "LinearDecayLR", "constant": 5, "decay": 5}},
            "constant and decay sum to 10, total_iter is 20",
        ),
    ],
)
def test_options_that_cannot_work(tmp_path: Path, section: str | None, change: dict[str, Any], expected: str) -> None:
    opt = gan_options(tmp_path, "DoubleDiscriminator")
    place = opt if section is None else opt[section]
    for key, value in change.items():
        if value is None:
            del place[key]
        else:
            place[key] = value
    with pytest.raises((OptionError, CheckpointError)) as error:
        option_check.check(options.complete(opt, is_train=True), True)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


class TestDiscriminators:
    def test_size_and_field_of_view(self) -> None:
        net = PatchDiscriminator()
        assert sum(parameter.numel() for parameter in net.parameters()) == 2_764_737  # as DeblurGAN's own
        net = PatchDiscriminator(width=4).double()
        image = torch.zeros(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
        normless = torch.nn.Sequential(
            *(layer for layer in net.model if not isinstance(layer, torch.nn.InstanceNorm2d))
        )
        with torch.no_grad():
            for parameter in normless.parameters():
                parameter.fill_(0.1)
        judgements = normless(image)
        judgements[0, 0, judgements.shape[2] // 2, judgements.shape[3] // 2].backward()
        seen = image.grad[0, 0].nonzero()
        assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]

    def test_double_looks_at_patches_and_farther(self) -> None:
        patch, full = DoubleDiscriminator(width=4)(torch.zeros(2, 3, 64, 64))
        assert patch.shape[:2] == full.shape[:2] == (2, 1)
        assert full.shape[2] < patch.shape[2]


class TestRelativisticLSLoss:
    def test_by_hand(self) -> None:
        real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0, 2.0])
        # means 2 and 1; the discriminator wants real - 1 = 1 and fake - 2 = -1
        assert RelativisticLSLoss(0.1)(real, fake, is_disc=True).item() == pytest.approx((1 + 2 / 3) / 2)
        # the generator wants real - 1 = -1 and fake - 2 = 1
        assert RelativisticLSLoss(0.1)(real, fake).item() == pytest.approx(0.1 * (5 + 14 / 3) / 2)

    def test_generator_wants_what_the_discriminator_does_not(self) -> None:
        generator = torch.Generator().manual_seed(0)
        real, fake = torch.rand(2, 1, 4, 4, generator=generator), torch.rand(2, 1, 4, 4, generator=generator)
        loss = RelativisticLSLoss()
        assert torch.allclose(loss(real, fake), loss(fake, real, is_disc=True))


class TestVGGFeatureLoss:
    CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14)

    @pytest.fixture
    def stored(self) -> dict[str, Tensor]:
        """Weights under torchvision's names, random up to conv3_3; elsewhere one zero stands for a whole tensor."""
        with torch.device("meta"):
            shapes = {key: value.shape for key, value in torchvision.models.vgg19().state_dict().items()}
        generator = torch.Generator().manual_seed(0)
        used = [key for key in shapes if key.startswith("features.") and int(key.split(".")[1]) in self.CONVOLUTIONS]
        random = {key: 0.05 * torch.randn(shapes[key], generator=generator) for key in used}
        return {key: random.get(key, torch.zeros(1).expand(shape)) for key, shape in shapes.items()}

    def features(self, stored: dict[str, Tensor], x: Tensor) -> Tensor:
        for index in self.CONVOLUTIONS:
            x = F.relu(x) if index else x
            x = F.max_pool2d(x, 2) if index in (5, 10) else x
            x = F.conv2d(x, stored[f"features.{index}.weight"], stored[f"features.{index}.bias"], padding=1)
        return x

    def test_is_the_mean_squared_difference(self, stored: dict[str, Tensor], tmp_path: Path) -> None:
        file = tmp_path / "vgg19.pth"
        torch.save(stored, file)
        generator = torch.Generator().manual_seed(1)
        pred, target = (torch.rand(1, 3, 16, 16, generator=generator) for _ in range(2))
        mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        for name, seen in {
            "imagenet": [(image - mean) / deviation for image in (pred, target)],
            "symmetric": [2 * image - 1 for image in (pred, target)],
        }.items():
            loss, style = VGGFeatureLoss(loss_weight=3.0, weights=str(file), normalisation=name)(pred, target)
            expected = 3 * F.mse_loss(*(self.features(stored, image) for image in seen))
            assert torch.allclose(loss, expected, rtol=1e-4)
            assert style is None

    def test_other_files(self, tmp_path: Path) -> None:
        file = tmp_path / "vgg19.pth"
        torch.save({"params": {}}, file)
        with pytest.raises(CheckpointError, match="not torchvision's weights of VGG19"):
            VGGFeatureLoss(weights=str(file))
        with pytest.raises(CheckpointError, match="there is no such file"):
            VGGFeatureLoss(weights=str(tmp_path / "none.pth"))
