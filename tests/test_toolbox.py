from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from conftest import Run
from tiny import encode, make_options, paired_options, write_lmdb, write_options, write_pair
from torch import nn
from torch.utils.data import DataLoader

import uml_in_arch.toolbox
from uml_in_arch import checkpoints, cli, options
from uml_in_arch.errors import CheckpointError, DataError, OptionError

from basicsr.data import build_dataloader, build_dataset
from basicsr.models.sr_model import SRModel
from basicsr.utils.options import ordered_yaml

TRAIN = ("-m", "uml_in_arch.train", "-opt", "tiny.yml")


def model(folder: Path, **changes: Any) -> SRModel:
    """A model as BasicSR's pipeline builds it, with its folders."""
    opt = options.complete(copy.deepcopy({**make_options(folder), **changes}), is_train=True)
    opt |= {"is_train": True, "dist": False, "rank": 0, "world_size": 1, "auto_resume": False}
    opt["path"] |= {"models": str(folder / "models"), "training_states": str(folder / "training_states")}
    for key in ("models", "training_states"):
        Path(opt["path"][key]).mkdir()
    return SRModel(opt)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], run: Run) -> Path:
    """One training, killed in the middle, its newest checkpoints damaged, resumed to the end."""
    folder = tmp_path_factory.mktemp("run")
    opt = make_options(folder)
    opt["train"]["total_iter"] = 5000
    write_options(folder / "tiny.yml", opt)
    states, models = (folder / "experiments/tiny" / name for name in ("training_states", "models"))
    process = subprocess.Popen([sys.executable, *TRAIN], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (states / "20.state").is_file():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    newest = sorted(int(file.stem) for file in states.glob("*.state"))
    for iteration in newest:
        if iteration > 20:
            (states / f"{iteration}.state").unlink()
    (states / "20.state").write_bytes((states / "20.state").read_bytes()[:500])
    (models / "net_g_15.pth").unlink()
    (models / ".saving").mkdir(exist_ok=True)
    (models / ".saving/net_g_20.pth").write_bytes(b"half")

    opt["train"]["total_iter"] = 21
    write_options(folder / "tiny.yml", opt)
    done = run(*TRAIN, "--auto_resume", cwd=folder)
    (folder / "output").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr
    return folder


class TestKilledTraining:
    def test_resumes_from_the_newest_whole_state(self, folder: Path) -> None:
        output = (folder / "output").read_text()
        assert "20.state, trying an older one" in output
        assert "net_g_15.pth: there is no such checkpoint" in output
        assert "Resuming training from epoch: 4, iter: 10." in output

    def test_finishes_though_the_last_batch_of_an_epoch_is_dropped(self, folder: Path) -> None:
        output = (folder / "output").read_text()
        assert "iter:      20" in output
        latest = checkpoints.read(folder / "experiments/tiny/models/net_g_latest.pth")
        before = checkpoints.read(folder / "experiments/tiny/models/net_g_20.pth")
        key = next(iter(latest["params"]))
        assert not torch.equal(latest["params"][key], before["params"][key])

    def test_leaves_no_temporary_files(self, folder: Path) -> None:
        assert not list(folder.rglob(".saving"))

    def test_writes_resolved_options(self, folder: Path) -> None:
        resolved = folder / "experiments/tiny/resolved_tiny.yml"
        assert options.load(resolved) == options.complete(options.load(folder / "tiny.yml"), is_train=True)

    def test_result_can_be_tested(self, folder: Path, run: Run) -> None:
        opt = options.load(folder / "tiny.yml")
        test = {key: opt[key] for key in ("name", "model_type", "scale", "num_gpu", "network_g")}
        test["val"] = {"save_img": True, "metrics": opt["val"]["metrics"]}
        test["datasets"] = {"test": opt["datasets"]["val"]}
        test["path"] = {"pretrain_network_g": "experiments/tiny/models/net_g_latest.pth", "param_key_g": "params_ema"}
        write_options(folder / "test.yml", test)
        done = run("-m", "uml_in_arch.test", "-opt", "test.yml", "--force_yml", "name=again", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "# psnr:" in done.stderr
        assert len(list((folder / "results/again/visualization/tiny").glob("*_again.png"))) == 2


class TestOptions:
    def test_basicsr_reads_yaml_safely(self) -> None:
        loader, _ = ordered_yaml()
        assert issubclass(loader, options.Loader)

    def test_importing_again_changes_nothing(self) -> None:
        before = SRModel.save_network
        uml_in_arch.toolbox.mend_models()
        assert SRModel.save_network is before


class TestCheckpoints:
    def test_other_architecture_is_one_line(self, tmp_path: Path) -> None:
        net = nn.Conv2d(3, 3, 3)
        torch.save({"params": nn.Conv2d(3, 4, 3).state_dict()}, tmp_path / "net.pth")
        with pytest.raises(CheckpointError, match=r"net\.pth: .*Conv2d.*2 of another shape") as error:
            model(tmp_path).load_network(net, str(tmp_path / "net.pth"))
        assert "\n" not in str(error.value)

    def test_missing_and_broken(self, tmp_path: Path) -> None:
        subject = model(tmp_path)
        with pytest.raises(CheckpointError, match="no such checkpoint"):
            subject.load_network(nn.Conv2d(3, 3, 3), str(tmp_path / "none.pth"))
        (tmp_path / "net.pth").write_bytes(b"PK\x03\x04 not a checkpoint")
        with pytest.raises(CheckpointError, match="is broken or is no PyTorch checkpoint"):
            subject.load_network(nn.Conv2d(3, 3, 3), str(tmp_path / "net.pth"))

    def test_python_objects_are_refused(self, tmp_path: Path) -> None:
        torch.save({"params": Path("x")}, tmp_path / "net.pth")
        with pytest.raises(CheckpointError, match="holds more than tensors"):
            model(tmp_path).load_network(nn.Conv2d(3, 3, 3), str(tmp_path / "net.pth"))

    def test_other_container(self, tmp_path: Path) -> None:
        net = nn.Conv2d(3, 3, 3)
        torch.save({"generator": net.state_dict()}, tmp_path / "net.pth")
        with pytest.raises(CheckpointError, match="starts with: generator; set path.param_key_g"):
            model(tmp_path).load_network(net, str(tmp_path / "net.pth"))
        model(tmp_path / "again").load_network(net, str(tmp_path / "net.pth"), param_key="generator")

    def test_full_disk_keeps_the_old_checkpoint(self, tmp_path: Path, run: Run) -> None:
        subject = model(tmp_path)
        subject.save(0, 5)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.suffix in (".pth", ".state")}
        assert {path.name for path in before} == {"net_g_5.pth", "5.state"}
        script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch, uml_in_arch.toolbox
from uml_in_arch import checkpoints
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
from uml_in_arch import cli
def write():
    with checkpoints.written_whole({str(tmp_path / "models")!r}) as stage:
        try:
            torch.save({{"params": torch.zeros(9999)}}, stage / "net_g_5.pth")
        except Exception:
            pass  # as BasicSR does
cli.run(write)
"""
        done = run("-c", script, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert "could not write a checkpoint" in done.stderr
        assert {path: path.read_bytes() for path in before} == before
        assert not list(tmp_path.rglob(".saving"))

    def test_state_loads_as_plain_data(self, tmp_path: Path) -> None:
        subject = model(tmp_path)
        subject.save(3, 7)
        opt = {**subject.opt, "auto_resume": True}
        state = uml_in_arch.toolbox.load_resume_state(opt)
        assert (state["epoch"], state["iter"]) == (3, 7)
        assert opt["path"]["pretrain_network_g"] == str(tmp_path / "models/net_g_7.pth")
        subject.resume_training(state)

    def test_explicit_state_must_be_whole(self, tmp_path: Path) -> None:
        opt = copy.deepcopy(model(tmp_path).opt)
        opt["path"]["resume_state"] = str(tmp_path / "7.state")
        with pytest.raises(CheckpointError, match="no such checkpoint"):
            uml_in_arch.toolbox.load_resume_state(opt)
        torch.save({"params": {}}, tmp_path / "7.state")
        with pytest.raises(CheckpointError, match="no training state"):
            uml_in_arch.toolbox.load_resume_state(opt)


class DataDependent(nn.Module):
    """Sets its parameter from the first batch, as ActNorm does."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))
        self.register_buffer("initialized", torch.tensor(False))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.initialized:
            self.shift.data.fill_(x.mean())
            self.initialized.fill_(True)
        self.count += 1
        return x - self.shift


class TestModel:
    def test_ema_follows_buffers_and_data_dependent_initialisation(self, tmp_path: Path) -> None:
        subject = model(tmp_path)
        subject.net_g, subject.net_g_ema = DataDependent(), DataDependent()
        subject.net_g(torch.full((1, 3, 4, 4), 8.0))
        subject.model_ema(0.5)
        assert subject.net_g_ema.initialized
        assert subject.net_g_ema.shift.item() == 8
        subject.net_g.shift.data.fill_(4)
        subject.net_g(torch.zeros(1))
        subject.model_ema(0.5)
        assert subject.net_g_ema.shift.item() == 6
        assert subject.net_g_ema.count.item() == 2

    def test_any_optimiser_of_torch(self, tmp_path: Path) -> None:
        subject = model(tmp_path)
        parameters = list(subject.net_g.parameters())
        assert isinstance(subject.get_optimizer("NAdam", parameters, 0.1, weight_decay=0.5), torch.optim.NAdam)
        with pytest.raises(OptionError, match="did you mean 'AdamW'"):
            subject.get_optimizer("AdmW", parameters, 0.1)

    def test_resuming_continues_exactly(self, tmp_path: Path) -> None:
        """Ten steps equal five, a save, a new model, and five."""
        torch.manual_seed(0)
        batches = [{"lq": torch.rand(1, 3, 8, 8), "gt": torch.rand(1, 3, 8, 8)} for _ in range(10)]

        def step(subject: SRModel, iterations: range) -> None:
            for i in iterations:
                subject.update_learning_rate(i + 1)
                subject.feed_data(batches[i])
                subject.optimize_parameters(i + 1)

        (tmp_path / "whole").mkdir()
        (tmp_path / "half").mkdir()
        torch.manual_seed(1)
        whole = model(tmp_path / "whole")
        step(whole, range(10))
        torch.manual_seed(1)
        half = model(tmp_path / "half")
        step(half, range(5))
        half.save(0, 5)
        opt = {**half.opt, "auto_resume": True}
        state = uml_in_arch.toolbox.load_resume_state(opt)
        path = {"pretrain_network_g": opt["path"]["pretrain_network_g"]}
        (tmp_path / "rest").mkdir()
        rest = model(tmp_path / "rest", path=path)
        rest.resume_training(state)
        step(rest, range(5, 10))
        for name, value in whole.net_g.state_dict().items():
            assert torch.equal(value, rest.net_g.state_dict()[name])
        for name, value in whole.net_g_ema.state_dict().items():
            assert torch.allclose(value, rest.net_g_ema.state_dict()[name], atol=1e-7)


def rgb(size: int = 48) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)


GOOD = encode(rgb())
PALETTE = (  # 1x1, one palette entry
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x03\x00\x00\x00(\xcb4\xbb"
    b"\x00\x00\x00\x03PLTE\x00\x00\x00\xa7z=\xda\x00\x00\x00\nIDATx\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)
BAD_PICTURES = {
    "cut": (GOOD[:-500], "it is corrupt"),
    "flipped": (GOOD[:900] + bytes([GOOD[900] ^ 1]) + GOOD[901:], "it is corrupt"),
    "nonsense": (b"nonsense", "corrupt or not a picture"),
    "absent": (None, "missing from data.mdb though meta_info.txt lists it"),
    "deep": (encode(rgb().astype(np.uint16) * 256), "16 bits per channel"),
    "alpha": (encode(np.dstack([rgb(), rgb()[..., 0]])), "alpha channel"),
    "grey": (encode(rgb()[..., 0]), "grey where 3 channels are expected"),
    "palette": (PALETTE, "palette"),
    "wide": (encode(rgb(64)), "64x64 and its ground truth 48x48"),
}


class TestPictures:
    def dataset(self, folder: Path, data: bytes | None, **keys: Any) -> Any:
        shapes = dict.fromkeys(("good", "odd"), (48, 48, 3))
        pictures = {"good": GOOD} | ({"odd": data} if data is not None else {})
        blur = write_lmdb(folder / "blur.lmdb", pictures, shapes)
        sharp = write_lmdb(folder / "sharp.lmdb", dict.fromkeys(shapes, GOOD), shapes)
        phase = {"phase": "train", "scale": 1, "gt_size": 32, "use_hflip": False, "use_rot": False}
        return build_dataset({**paired_options(blur, sharp), **phase, **keys})

    @pytest.mark.parametrize("name", BAD_PICTURES)
    def test_bad_picture_is_named(self, tmp_path: Path, name: str) -> None:
        data, reason = BAD_PICTURES[name]
        dataset = self.dataset(tmp_path, data)
        assert dataset[0]["lq"].shape == (3, 32, 32)
        with pytest.raises(DataError) as error:
            dataset[1]
        text = str(error.value)
        assert reason in text
        assert "'odd'" in text
        assert str(tmp_path / "blur.lmdb") in text
        assert "\n" not in text

    def test_is_one_line_through_a_worker(self, tmp_path: Path) -> None:
        dataset = self.dataset(tmp_path, b"nonsense")
        with pytest.raises(DataError) as error:
            list(DataLoader(dataset, batch_size=2, num_workers=1))
        assert cli.one_line(error.value).startswith("picture 'odd' in ")

    def test_prefetching_thread_does_not_hang(self, tmp_path: Path) -> None:
        dataset = self.dataset(tmp_path, b"nonsense")
        loading = {"num_worker_per_gpu": 0, "batch_size_per_gpu": 2, "prefetch_mode": "cpu"}
        with pytest.raises(DataError, match="'odd'"):
            list(build_dataloader(dataset, {**dataset.opt, **loading}, num_gpu=0))

    def test_grey_training_accepts_grey(self, tmp_path: Path) -> None:
        assert self.dataset(tmp_path, encode(rgb()[..., 0]), color="y")[1]["lq"].shape == (1, 32, 32)

    def test_picture_smaller_than_the_crop(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="48x48, smaller than gt_size 50"):
            self.dataset(tmp_path, GOOD, gt_size=50)[0]

    def test_folders_without_ground_truth(self, tmp_path: Path) -> None:
        folder = tmp_path / "photos"
        folder.mkdir()
        (folder / "a.png").write_bytes(GOOD)
        (folder / "b.png").write_bytes(GOOD[:-9])
        cv2.imwrite(str(folder / "c.jpg"), rgb())
        keys = {"type": "SingleImageDataset", "name": "n", "phase": "test", "io_backend": {"type": "disk"}}
        dataset = build_dataset({**keys, "dataroot_lq": str(folder)})
        assert dataset[0]["lq"].shape == dataset[2]["lq"].shape == (3, 48, 48)
        with pytest.raises(DataError, match=r"b\.png: it is corrupt"):
            dataset[1]

    def test_same_lmdb_twice_and_after_a_fork(self, tmp_path: Path) -> None:
        blur, sharp = write_pair(tmp_path, "train", 4)
        opt = {**paired_options(blur, sharp), "phase": "val", "scale": 1}
        first, second = build_dataset(opt), build_dataset(opt)
        assert torch.equal(first[0]["gt"], second[0]["gt"])
        loader = DataLoader(second, num_workers=1, multiprocessing_context="fork")
        for item, expected in zip(loader, map(first.__getitem__, range(4)), strict=True):
            assert torch.equal(item["gt"][0], expected["gt"])

    def test_epochs_crop_differently(self, tmp_path: Path) -> None:
        dataset = self.dataset(tmp_path, GOOD)
        torch.manual_seed(0)
        loading = {"num_worker_per_gpu": 1, "batch_size_per_gpu": 2}
        loader = build_dataloader(dataset, {**dataset.opt, **loading}, num_gpu=0, seed=0)
        first, second = (next(iter(loader))["gt"].sort(0)[0] for _ in range(2))
        assert not torch.equal(first, second)
