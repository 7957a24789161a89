"""Every option file that comes with the project can be used as it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from tiny import encode, write_lmdb

from uml_in_arch import checkpoints, option_check, options, train

FOLDER = ROOT / "options"
TRAINING = sorted(path.name for path in FOLDER.glob("train_*.yml"))
TESTING = sorted(path.name for path in FOLDER.glob("test_*.yml"))
PARTS = sorted(
    path.name
    for kind in ("ablation", "losses", "metrics", "network", "recipe")
    for path in FOLDER.glob(f"{kind}_*.yml")
)

# sides of the pictures that datasets_prep writes
SIDES = {"GoPro": 512, "CelebA": 128, "LSUN": 256, "Lai": 256}
DATA_SETS = sorted(SIDES)
LARGEST_BATCH = 64
ROLES = (("lq", "blur"), ("gt", "sharp"))
SMALL = "num_levels=1 num_steps=1 hidden_channels=8"
SMALL_RIVALS = {
    "NAFNet": "width=4 enc_blk_nums=[1,1] dec_blk_nums=[1,1]",
    "MIMOUNet": "num_res=1",
    "MIMOUNetPlus": "num_res=1",
    "FFTformer": "dim=8 num_blocks=[1,1,1] num_refinement_blocks=1",
    "Restormer": "dim=8 num_blocks=[1,1,1,1] num_refinement_blocks=1",
    "MPRNet": "n_feat=8 scale_unetfeats=4 scale_orsnetfeats=4 num_cab=1",
    "Uformer": "embed_dim=4 depths=[1,1,1,1,1,1,1,1,1] num_heads=[1,1,1,1,1,1,1,1,1]",
    "SCUNet": "config=[1,1,1,1,1,1,1]",
    "DeblurGAN": "num_blocks=1",
    "DeblurGANv2": "",
}
LIBRARIES = dict.fromkeys(("NAFNet", "FFTformer", "Uformer", "SCUNet"), "spandrel")
LIBRARIES |= dict.fromkeys(("Restormer", "MPRNet"), "spandrel_extra_arches")


def load(name: str) -> dict[str, Any]:
    return options.load(FOLDER / name)


def need_library(network: str) -> None:
    if network in LIBRARIES:
        pytest.importorskip(LIBRARIES[network])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small data under the names that the option files expect."""
    folder = tmp_path_factory.mktemp("project")
    sections = [section for name in (*TRAINING, *TESTING) for section in load(name)["datasets"].values()]
    roots = {section[key] for section in sections for key in section if key.startswith("dataroot")}
    rng = np.random.default_rng(0)
    for root in sorted(roots):
        side = SIDES[Path(root).parent.name]
        picture = encode(
            np.kron(rng.integers(0, 256, (8, 8, 3), np.uint8), np.ones((side // 8, side // 8, 1), np.uint8))
        )
        keys = [f"p{number:02}" for number in range(LARGEST_BATCH if "train" in root else 2)]
        write_lmdb(folder / root, dict.fromkeys(keys, picture), dict.fromkeys(keys, (side, side, 3)))
    weights = folder / "experiments/pretrained_models/vgg19-dcbb9e9d.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    return folder


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


@pytest.mark.parametrize("name", TRAINING)
def test_training_options_pass_the_check(name: str) -> None:
    opt = load(name)
    need_library(opt["network_g"]["type"])
    option_check.check(options.complete(opt, is_train=True), True, name)


@pytest.mark.parametrize("name", TESTING)
def test_testing_options_pass_the_check_and_fit_what_was_trained(name: str) -> None:
    opt = load(name)
    need_library(opt["network_g"]["type"])
    trained = Path(opt["path"].pop("pretrain_network_g")).parts[1]
    option_check.check(options.complete(opt, is_train=False), False, name)
    training = load(f"train_{trained}.yml")
    assert opt["network_g"] == training["network_g"]
    assert opt["path"]["param_key_g"] == ("params_ema" if training["train"].get("ema_decay") else "params")


@pytest.mark.parametrize("name", [*TRAINING, *TESTING])
def test_experiments_are_named_as_their_files(name: str) -> None:
    assert load(name)["name"] == name.partition("_")[2].removesuffix(".yml")


def test_every_part_is_used() -> None:
    text = "".join((FOLDER / name).read_text() for name in (*TRAINING, *TESTING))
    assert [part for part in PARTS if part not in text] == []


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_ablation_changes_its_losses_only(data_set: str) -> None:
    full = load(f"train_UMLIN_{data_set}.yml")
    for row, left_out in {
        "none": {"ssim_opt", "sparse_opt"},
        "ssim": {"sparse_opt"},
        "l1": {"ssim_opt"},
        "l1_ssim": set(),
    }.items():
        opt = load(f"train_UMLIN_{data_set}_{row}.yml")
        losses = {key: value for key, value in full["train"].items() if key not in left_out}
        assert opt == {**full, "name": f"UMLIN_{data_set}_{row}", "train": losses}
    assert {"pixel_opt", "ssim_opt", "similarity_opt", "sparse_opt"} <= full["train"].keys()


def train_briefly(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str]) -> None:
    """Two iterations on the CPU and a validation; all weights must be finite then."""
    few = ["gt_size=32", "batch_size_per_gpu=2", "num_worker_per_gpu=0"]
    general = ["num_gpu=0", "train:total_iter=2", "logger:use_tb_logger=false"]
    overrides = [*(f"datasets:train:{override}" for override in few), *general, *overrides]
    command = ["-opt", str(FOLDER / f"train_{name}.yml"), "--force_yml", *overrides]
    monkeypatch.setattr(sys, "argv", ["train.py", *command])
    train.main(folder)
    weights = checkpoints.read(folder / f"experiments/{name}/models/net_g_latest.pth")
    assert all(bool(torch.isfinite(weight).all()) for weight in weights["params"].values())


def network(arguments: str) -> list[str]:
    return [f"network_g:{argument}" for argument in arguments.split()]


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_trains_on_each_data_set(data_set: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_briefly(f"UMLIN_{data_set}_l1_ssim", project, monkeypatch, network(SMALL))


@pytest.mark.parametrize("rival", sorted(SMALL_RIVALS))
def test_trains_each_rival(rival: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_library(rival)
    small_pictures = [f"datasets:val:dataroot_{key}=datasets/CelebA/val_{kind}.lmdb" for key, kind in ROLES]
    overrides = [*network(SMALL_RIVALS[rival]), *small_pictures]
    if rival.startswith("DeblurGAN"):  # VGG19's weights are not here
        overrides += ["network_d:width=4", "train:perceptual_opt=~", "train:pixel_opt={type: MSELoss}"]
    train_briefly(f"{rival}_GoPro", project, monkeypatch, overrides)
