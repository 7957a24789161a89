"""UMLINModel's training and validation steps, driven as BasicSR's loop drives them."""

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path

import cv2
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import uml_in_arch.data.registered
import uml_in_arch.losses
import uml_in_arch.metrics
import uml_in_arch.models  # noqa: F401  (registered by being imported)
from uml_in_arch.data.photographs import load_photograph
from uml_in_arch.errors import OptionError, TrainingDivergedError

from basicsr.data import build_dataloader, build_dataset
from basicsr.models import build_model
from basicsr.utils.registry import ARCH_REGISTRY, LOSS_REGISTRY

UMLIN = {"type": "UMLIN", "num_levels": 2, "num_steps": 2, "hidden_channels": 8}
PLUS = {"type": "UMLINPlus", "widths": [8, 12]}
HYBRID = {
    "pixel_opt": {"type": "L1Loss"},
    "ssim_opt": {"type": "SSIMLoss", "loss_weight": 0.1},
    "similarity_opt": {"type": "LatentSimilarityLoss", "loss_weight": 0.01},
    "sparse_opt": {"type": "SparseLatentLoss", "loss_weight": 0.001},
    "reblur_opt": {"type": "L1Loss", "loss_weight": 0.1},
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_options(folder: Path, network: dict, model_type: str = "UMLINModel", optimizer: str = "Adam", **train) -> dict:
    return {
        "name": "test",
        "model_type": model_type,
        "is_train": True,
        "dist": dist.is_initialized(),
        "rank": dist.get_rank() if dist.is_initialized() else 0,
        "world_size": dist.get_world_size() if dist.is_initialized() else 1,
        "num_gpu": 0,
        "network_g": network,
        "path": {"models": str(folder), "training_states": str(folder), "visualization": str(folder)},
        "train": {
            "total_iter": 100,
            "optim_g": {"type": optimizer, "lr": 2e-3 if optimizer == "Adam" else 0.1},
            "scheduler": {"type": "MultiStepLR", "milestones": [1000]},
            **train,
        },
        "val": {"metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 0}, "mse": {"type": "calculate_mse"}}},
        "logger": {},
    }


def pair(batch: int = 2, size: int = 24) -> dict[str, torch.Tensor]:
    """Sharp stripes at random angles and their blur."""
    rows = torch.arange(size, dtype=torch.float32)
    angles = torch.rand(batch, 1, 1, 1) * math.pi
    wave = torch.sin(0.8 * (rows[:, None] * torch.cos(angles) + rows * torch.sin(angles)))
    sharp = (wave > 0).float().expand(-1, 3, -1, -1) * 0.6 + 0.2
    return {"gt": sharp, "lq": torch.nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2, count_include_pad=False)}


def step(model, data, iteration: int) -> None:
    model.update_learning_rate(iteration)
    model.feed_data(data)
    model.optimize_parameters(iteration)


def parameters(net) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in net.named_parameters()}


@pytest.mark.parametrize("amp", [None, "bf16"])
@pytest.mark.parametrize("network", [UMLIN, PLUS], ids=lambda network: network["type"])
def test_hybrid_loss_falls_and_every_part_is_logged(tmp_path, network, amp):
    model = build_model(make_options(tmp_path, network, **HYBRID, grad_clip=1.0, amp=amp))
    data = pair()
    step(model, data, 1)
    first = model.get_current_log()
    assert set(first) == {"l_pixel", "l_ssim", "l_similarity", "l_sparse", "l_reblur", "near_zero", "skipped"}
    for iteration in range(2, 61):
        step(model, data, iteration)
    last = model.get_current_log()
    assert last["l_pixel"] < 0.7 * first["l_pixel"]
    assert last["l_ssim"] < first["l_ssim"]
    assert last["skipped"] == 0
    assert 0 <= last["near_zero"] <= 1
    assert model.output.dtype == torch.float32


@pytest.mark.parametrize("model_type", ["UMLINModel", "SRModel"])
def test_ema_copy_gets_the_data_dependent_start(tmp_path, model_type):
    options = make_options(tmp_path, UMLIN, model_type, ema_decay=0.9, pixel_opt={"type": "L1Loss"})
    model = build_model(options)
    step(model, pair(), 1)
    net, average = model.net_g.state_dict(), model.net_g_ema.state_dict()
    assert average["sharp_branch.base.steps.0.initialized"]
    torch.testing.assert_close(average, net)
    step(model, pair(), 2)
    assert not torch.equal(net["blur_branch.base.steps.0.bias"], average["blur_branch.base.steps.0.bias"])


def test_resumed_run_does_not_start_actnorm_again(tmp_path):
    options = make_options(tmp_path, UMLIN, pixel_opt={"type": "L1Loss"})
    model = build_model(copy.deepcopy(options))
    step(model, pair(), 1)
    model.save(0, 1)
    options["path"]["pretrain_network_g"] = str(tmp_path / "net_g_1.pth")
    resumed = build_model(options)
    resumed.resume_training(torch.load(tmp_path / "1.state", weights_only=True))
    data = pair()
    step(model, data, 2)
    step(resumed, data, 2)
    torch.testing.assert_close(parameters(resumed.net_g), parameters(model.net_g))


def test_non_finite_steps_are_skipped_counted_and_end_the_training(tmp_path):
    options = make_options(tmp_path, UMLIN, pixel_opt={"type": "L1Loss"}, max_nonfinite_steps=3)
    model = build_model(options)
    step(model, pair(), 1)
    good = parameters(model.net_g)
    broken = pair()
    broken["gt"][0, 0, 0, 0] = math.nan
    step(model, broken, 2)
    step(model, broken, 3)
    torch.testing.assert_close(parameters(model.net_g), good)
    assert model.get_current_log()["skipped"] == 2
    step(model, pair(), 4)  # a finite step starts the count anew
    step(model, broken, 5)
    step(model, broken, 6)
    with pytest.raises(TrainingDivergedError, match="3 steps in a row were not finite"):
        step(model, broken, 7)
    assert all(torch.isfinite(value).all() for value in parameters(model.net_g).values())


def test_accumulated_steps_equal_one_large_batch(tmp_path):
    start = build_model(make_options(tmp_path, UMLIN, pixel_opt={"type": "L1Loss"}))
    step(start, pair(4), 1)
    start.save_network(start.net_g, "start", 1)
    data = pair(4)
    results = []
    for accumulate in (1, 2):
        options = make_options(tmp_path, UMLIN, optimizer="SGD", **HYBRID, accumulate=accumulate)
        options["path"]["pretrain_network_g"] = str(tmp_path / "start_1.pth")
        model = build_model(options)
        if accumulate == 1:
            step(model, data, 1)
        else:
            before = parameters(model.net_g)
            step(model, {key: value[:2] for key, value in data.items()}, 1)
            torch.testing.assert_close(parameters(model.net_g), before)
            step(model, {key: value[2:] for key, value in data.items()}, 2)
        results.append(parameters(model.net_g))
    torch.testing.assert_close(results[0], results[1])


@ARCH_REGISTRY.register()
class OneConvolution(torch.nn.Conv2d):
    """Stands for a network of somebody else's."""

    def __init__(self) -> None:
        super().__init__(3, 3, 5, padding=2)


def test_other_networks_train_with_the_image_losses(tmp_path):
    image_losses = {key: HYBRID[key] for key in ("pixel_opt", "ssim_opt")}
    model = build_model(make_options(tmp_path, {"type": "OneConvolution"}, **image_losses))
    data = pair()
    step(model, data, 1)
    first = model.get_current_log()
    for iteration in range(2, 30):
        step(model, data, iteration)
    assert set(first) == {"l_pixel", "l_ssim", "skipped"}
    assert model.get_current_log()["l_pixel"] < first["l_pixel"]


@ARCH_REGISTRY.register()
class TwoScales(OneConvolution):
    """Returns half and full size while it is trained, as MIMO-UNet does."""

    def forward(self, blur):
        restored = super().forward(blur)
        return [torch.nn.functional.avg_pool2d(restored, 2), restored] if self.training else restored


@LOSS_REGISTRY.register()
class EveryScale(torch.nn.Module):
    multi_scale = True

    def forward(self, scales, truth):
        assert [scale.shape[-1] for scale in scales] == [truth.shape[-1] // 2, truth.shape[-1]]
        return sum((scale.mean() - truth.mean()).abs() for scale in scales)


def test_networks_with_several_scales_give_them_to_the_losses_that_want_them(tmp_path):
    losses = {"pixel_opt": {"type": "EveryScale"}, "ssim_opt": HYBRID["ssim_opt"]}
    model = build_model(make_options(tmp_path, {"type": "TwoScales"}, **losses))
    step(model, pair(), 1)
    assert model.output.shape == (2, 3, 24, 24)
    assert set(model.get_current_log()) == {"l_pixel", "l_ssim", "skipped"}


def test_losses_that_cannot_work_are_refused(tmp_path):
    with pytest.raises(
        OptionError,
        match="similarity_opt, sparse_opt, reblur_opt: for UMLIN and UMLINPlus only, not for OneConvolution",
    ):
        build_model(make_options(tmp_path, {"type": "OneConvolution"}, **HYBRID))
    with pytest.raises(OptionError, match="memory_saving: for UMLIN and UMLINPlus only"):
        pixel_opt = HYBRID["pixel_opt"]
        build_model(make_options(tmp_path, {"type": "OneConvolution"}, pixel_opt=pixel_opt, memory_saving=True))
    with pytest.raises(OptionError, match="train: has no loss"):
        build_model(make_options(tmp_path, UMLIN))


def make_loader(photographs=("chelsea", "rocket", "coffee")):
    options = {
        "name": "photographs",
        "type": "SyntheticBlurDataset",
        "phase": "val",
        "photographs": list(photographs),
        "blur": {"kernel_size": [7, 7]},
    }
    return build_dataloader(build_dataset(options), options)


@pytest.mark.parametrize("tile", [None, 128])
def test_validation_logs_a_table_and_writes_pictures(tmp_path, caplog, monkeypatch, tile):
    monkeypatch.setattr(logging.getLogger("basicsr"), "propagate", True)
    options = make_options(tmp_path, UMLIN, pixel_opt={"type": "L1Loss"})
    options["val"] |= {"tile": tile, "save_comparison": True}
    model = build_model(options)
    with caplog.at_level(logging.INFO):
        model.validation(make_loader(["chelsea"]), 7, None, save_img=True)
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in caplog.text.splitlines() if "|" in line}
    assert [cell.strip() for cell in rows["photographs"]] == ["psnr", "mse"]
    before, after = (float(rows[row][0]) for row in ("blurry input", "deblurred"))
    assert 20 < before < 40
    assert after == pytest.approx(before, abs=1e-3), "an untrained network is the identity"
    pictures = sorted(tmp_path.rglob("*.png"))
    assert [picture.name for picture in pictures] == ["chelsea_7.png", "chelsea_7_comparison.png"]
    assert cv2.imread(str(pictures[1])).shape == (300, 3 * 451, 3)


def test_pictures_without_a_ground_truth_get_a_no_reference_score(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("basicsr"), "propagate", True)
    (tmp_path / "real").mkdir()
    cv2.imwrite(str(tmp_path / "real" / "cat.png"), load_photograph("chelsea")[..., ::-1])
    dataset = {"name": "real", "type": "SingleImageDataset", "phase": "test", "dataroot_lq": str(tmp_path / "real")}
    dataset["io_backend"] = {"type": "disk"}
    options = make_options(tmp_path, UMLIN, pixel_opt={"type": "L1Loss"})
    options["val"]["metrics"] = {"niqe": {"type": "calculate_niqe", "crop_border": 0, "better": "lower"}}
    with caplog.at_level(logging.INFO):
        build_model(options).validation(build_dataloader(build_dataset(dataset), dataset), 1, None, save_img=True)
    blurry, deblurred = (float(line.split("|")[2]) for line in caplog.text.splitlines()[-3:-1])
    assert blurry == deblurred > 0, "an untrained network is the identity"
    assert (tmp_path / "cat" / "cat_1.png").exists()


def test_final_validation_is_not_run_twice(tmp_path):
    model = build_model(make_options(tmp_path, UMLIN, pixel_opt={"type": "L1Loss"}))
    step(model, pair(), 1)
    loader = make_loader(["chelsea"])
    model.validation(loader, 1, None, save_img=True)
    picture = tmp_path / "chelsea" / "chelsea_1.png"
    picture.unlink()
    model.validation(loader, 1, None, save_img=True)
    assert not picture.exists(), "nothing was trained in between, so nothing is restored again"
    step(model, pair(), 2)
    model.validation(loader, 2, None, save_img=True)
    assert (tmp_path / "chelsea" / "chelsea_2.png").exists()


def _train_and_validate_on_rank(rank: int, world_size: int, folder: str, memory_saving: bool) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    path = Path(folder)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world_size)
    model = build_model(make_options(path, UMLIN, optimizer="SGD", **HYBRID, memory_saving=memory_saving))
    joint = pair(4)
    for iteration in (1, 2):  # the first sets ActNorm from all ranks' data
        step(model, {key: value.chunk(world_size)[rank] for key, value in joint.items()}, iteration)
    model.validation(make_loader(), 2, None, save_img=False)
    bare = model.get_bare_model(model.net_g)
    result = {"parameters": parameters(bare), "log": model.get_current_log()}
    if rank == 0:
        result["metrics"] = model.metric_results
    torch.save(result, path / f"rank{rank}.pth")
    dist.destroy_process_group()


@pytest.mark.parametrize("memory_saving", [False, True])
def test_two_processes_equal_one_on_the_joint_batch(tmp_path, memory_saving):
    """Memory is saved by the two only, so it is compared with plain back-propagation too."""
    results = {}
    for world_size in (1, 2):
        folder = tmp_path / str(world_size)
        folder.mkdir()
        arguments = (world_size, str(folder), memory_saving and world_size > 1)
        mp.spawn(_train_and_validate_on_rank, arguments, nprocs=world_size)
        results[world_size] = [torch.load(folder / f"rank{rank}.pth") for rank in range(world_size)]
    alone, (first, second) = results[1][0], results[2]
    torch.testing.assert_close(first["parameters"], second["parameters"], rtol=0, atol=0)
    torch.testing.assert_close(first["parameters"], alone["parameters"], rtol=1e-4, atol=1e-6)
    assert first["metrics"] == pytest.approx(alone["metrics"], abs=1e-3)
    for name in ("l_pixel", "l_ssim", "l_similarity", "l_sparse", "l_reblur"):
        assert first["log"][name] == pytest.approx(alone["log"][name], rel=1e-4)
