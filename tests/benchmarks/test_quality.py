"""The quality bench: trains, stops at its budget, goes on where it stopped, and writes its table."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, Run

from benchmarks.quality.bank import open_bank, validation_pairs
from benchmarks.quality.latents import near_zero
from benchmarks.quality.options import load
from benchmarks.quality.runs import entry_folder
from benchmarks.quality.training import train
from uml_in_arch import checkpoints, options
from uml_in_arch.archs import UMLINPlus
from uml_in_arch.data.photographs import load_photograph
from uml_in_arch.errors import DataError, OptionError

PLUS = {"type": "UMLINPlus", "widths": [6, 8], "spectral_channels": 4, "spectral_windows": [16]}


def plus(**changes: int) -> UMLINPlus:
    return UMLINPlus(**{key: value for key, value in (PLUS | changes).items() if key != "type"})


@pytest.fixture
def bench_file(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("coffee", "chelsea", "astronaut"):
        small = cv2.resize(load_photograph(name), (96, 72), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    content = {
        "name": "tiny",
        "output": str(tmp_path / "out"),
        "photographs": {"folders": [str(folder)], "exclude": ["cof"], "holdout": 1, "holdout_folder": str(folder)},
        "bank": {"windows": 6, "side": 40, "workers": 0, "blur": {"kernel_size": [3, 7]}},
        "validation": {
            "medium": {"blur": {"kernel_size": [5, 5]}},
            "pairs": {"dataroot_lq": str(folder), "dataroot_gt": str(folder)},
        },
        "protocol": {
            "crop": 24,
            "batch": 2,
            "learning_rates": [1e-3, 1e-4],
            "tuning_steps": 2,
            "train": {
                "total_iter": 6,
                "ema_decay": 0.5,
                "optim_g": {"type": "AdamW"},
                "scheduler": {"type": "CosineAnnealingRestartLR", "eta_min": 1e-6},
                "pixel_opt": {"type": "L1Loss"},
            },
        },
        "reference": "plus",
        "entries": {
            "plus": {"network_g": PLUS},
            "other": {
                "network_g": {"type": "UMLIN", "num_levels": 2, "num_steps": 1, "hidden_channels": 4},
                "train": {"similarity_opt": {"type": "LatentSimilarityLoss", "loss_weight": 0.01}},
            },
        },
    }
    file = tmp_path / "bench.yml"
    file.write_text(yaml.safe_dump(content))
    return file


def bench(run: Run, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run("-W", "ignore", "-m", "benchmarks.quality", *arguments, cwd=ROOT)


def test_command_writes_a_table_and_keeps_what_is_done(run: Run, bench_file: Path) -> None:
    first = bench(run, "-opt", bench_file)
    assert first.returncode == 0, first.stderr
    table = (bench_file.parent / "out/table.md").read_text()
    assert table in first.stdout
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    assert {"(blurry input)", "plus", "other"} < set(rows)
    assert "x)" in rows["other"], "its GMACs are far from the reference's, so it is marked"
    assert "+0.00" in rows["plus"] and "(1.00x)" in rows["plus"], "it is the reference"
    (result,) = (bench_file.parent / "out/plus").glob("*/seed0/result.json")
    assert json.loads(result.read_text())["learning_rate"] in (1e-3, 1e-4)

    figure = bench_file.parent / "latents.png"
    shown = run("-m", "benchmarks.quality.latents", "-opt", bench_file, "--figure", figure, cwd=ROOT)
    assert shown.returncode == 0, shown.stderr
    assert [line.split("|")[1].strip() for line in shown.stdout.splitlines()][2:] == ["other", "plus"]
    assert cv2.imread(str(figure)) is not None

    before = result.stat().st_mtime_ns
    again = bench(run, "-opt", bench_file, "--only", "plus")
    assert again.returncode == 0
    assert result.stat().st_mtime_ns == before

    weights = bench_file.parent / "weights.pth"
    exported = run("-m", "benchmarks.quality.export", "-opt", bench_file, "--target", weights, cwd=ROOT)
    assert "step 6 of 6" in exported.stdout, exported.stderr
    content = checkpoints.read(weights)
    assert set(content) == {"params_ema"}
    plus().load_state_dict(content["params_ema"])


def weights_after(bench_file: Path, folder: str, budgets: list[float]) -> dict[str, torch.Tensor]:
    loaded = load(bench_file)
    bank = open_bank(loaded)
    for budget in budgets:
        model, progress = train(
            loaded,
            "plus",
            bench_file.parent / folder,
            bank,
            learning_rate=1e-3,
            steps=6,
            seed=3,
            deadline=budget,
        )
    assert progress.finished
    return model.net_g.state_dict()


def test_training_goes_on_exactly_where_it_stopped(bench_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = weights_after(bench_file, "whole", [1e9])
    # a clock that counts its readings: the first session's time is up after a few steps
    readings = iter(range(10**9))
    monkeypatch.setattr("benchmarks.quality.training.time.monotonic", lambda: next(readings))
    in_parts = weights_after(bench_file, "parts", [5, 1e9])
    assert all(torch.equal(whole[name], in_parts[name]) for name in whole)


def test_another_protocol_is_another_training(bench_file: Path) -> None:
    here = entry_folder(load(bench_file), "plus")
    assert entry_folder(load(bench_file, ["bank:workers=1"]), "plus") == here
    assert entry_folder(load(bench_file, ["protocol:train:total_iter=7"]), "plus") != here
    assert entry_folder(load(bench_file, ["entries:plus:network_g:widths=[8, 8]"]), "plus") != here


def test_training_starts_from_given_weights(bench_file: Path) -> None:
    start = bench_file.parent / "start.pth"
    weights = plus().state_dict()
    torch.save({"params_ema": weights}, start)
    loaded = load(bench_file, [f"entries:plus:pretrain_network_g={start}"])
    out = bench_file.parent / "out"
    model, _ = train(loaded, "plus", out, open_bank(loaded), learning_rate=1e-3, steps=6, seed=3, deadline=0)
    assert all(torch.equal(value, weights[name]) for name, value in model.net_g.state_dict().items())


def test_training_starts_from_what_fits_of_another_networks_weights(bench_file: Path) -> None:
    start = bench_file.parent / "other.pth"
    other = plus(spectral_channels=6).state_dict()
    torch.save({"params_ema": other}, start)
    overrides = [f"entries:plus:pretrain_network_g={start}", "entries:plus:strict_load_g=false"]
    loaded = load(bench_file, overrides)
    out = bench_file.parent / "out_of_other"
    model, _ = train(loaded, "plus", out, open_bank(loaded), learning_rate=1e-3, steps=6, seed=3, deadline=0)
    weights = model.net_g.state_dict()
    fits = [name for name in weights if weights[name].shape == other[name].shape]
    assert 0 < len(fits) < len(weights)
    assert all(torch.equal(weights[name], other[name]) for name in fits)


def test_large_photographs_give_more_windows(bench_file: Path) -> None:
    large = cv2.resize(load_photograph("rocket"), (288, 72), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(bench_file.parent / "pictures/rocket.png"), large)
    loaded = load(bench_file, ["bank:windows=40", "bank:side=72", "bank:blur={kernel_size: [1, 1]}"])
    bank = open_bank(loaded)
    dark = bank.sharp.float().mean((1, 2, 3)) < 80  # the rocket's night
    assert len(bank.sharp) == 40
    assert 28 <= dark.sum() <= 32, "three quarters"


def test_batches_are_pairs_cut_at_the_same_place(bench_file: Path) -> None:
    bank = open_bank(load(bench_file, ["bank:blur={kernel_size: [1, 1]}"]))
    blur, sharp = bank.batch(8, 16, np.random.default_rng(0))
    assert blur.shape == (8, 3, 16, 16)
    assert blur.dtype == torch.float32
    assert torch.equal(blur, sharp), "a kernel of one pixel does not blur"
    assert not torch.equal(blur[0], blur[1])


def test_held_out_pictures_are_not_trained_on(bench_file: Path) -> None:
    (name, blur, sharp), *others = validation_pairs(load(bench_file), "medium")
    assert not others
    assert "astronaut" in name
    assert blur.shape == sharp.shape == (1, 3, 72, 96)
    assert not torch.equal(blur, sharp)


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("protocol:crop=41", OptionError, "do not fit"),
        ("reference=nobody", OptionError, "nobody"),
        ("bank:windows=0", OptionError, "bank.windows"),
        ("photographs:holdout=9", DataError, "fewer than"),
        ("photographs:folders=[nowhere]", DataError, "nowhere"),
    ],
)
def test_bad_options_are_one_line(bench_file: Path, override: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        open_bank(load(bench_file, [override]))
    assert "\n" not in str(raised.value)


def test_share_of_latents_near_zero_does_not_depend_on_their_size() -> None:
    gaussian = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    assert near_zero(gaussian) == pytest.approx(near_zero(1000 * gaussian)) == pytest.approx(0.08, abs=0.005)
    assert near_zero(gaussian**3) > 0.3


def test_unknown_network_is_refused_before_anything_is_written(run: Run, bench_file: Path) -> None:
    result = bench(run, "-opt", bench_file, "--only", "pluss")
    assert result.returncode == 2
    assert result.stderr.strip().endswith("did you mean 'plus'?")
    assert not (bench_file.parent / "out").exists()


def test_option_files_of_the_bench_are_valid() -> None:
    folder = ROOT / "benchmarks/quality"
    assert len(load(folder / "ablation.yml").entries) == 8
    for name in ("cpu.yml", "gpu.yml"):
        assert load(folder / name).entries
    made = load(folder / "motion.yml").entries["UMLINPlus"].network_g
    used = options.load(ROOT / "weights/umlinplus_motion.yml")["network_g"]
    assert made.items() <= used.items()
