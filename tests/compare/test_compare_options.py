from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from tiny import paired_options, write_options, write_pair

from uml_in_arch.archs import spandrel_arch
from uml_in_arch.compare import evaluation, options
from uml_in_arch.errors import OptionError, UserError
from uml_in_arch.methods import SelfDeblur

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    section = paired_options(*write_pair(tmp_path_factory.mktemp("data"), "pair", 1))
    section.pop("name")
    network = {"type": "UMLIN", "num_levels": 1, "num_steps": 1, "hidden_channels": 4}
    return {"name": "tiny", "entries": {"mine": {"network_g": network}}, "datasets": {"pairs": section}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda o: o.update(entrys={}), "entrys: unknown key; did you mean 'entries'?"),
        (lambda o: o.update(entries=[{"name": "mine"}]), "entries: found"),
        (lambda o: o.update(entries={1: o["entries"]["mine"]}), "entries: 1 cannot be a name here"),
        (lambda o: o["entries"].update({"blurry input": o["entries"]["mine"]}), "'blurry input' cannot be a name"),
        (lambda o: o["entries"].update(sharp=o["entries"]["mine"]), "entries: 'sharp' cannot be a name"),
        (lambda o: o["entries"]["mine"].pop("network_g"), "entries.mine.network_g: missing"),
        (
            lambda o: o["entries"]["mine"]["network_g"].update(type="UMLIM"),
            "entries.mine: network_g.type: no arch is registered as 'UMLIM'; did you mean 'UMLIN'?",
        ),
        (
            lambda o: o["entries"]["mine"]["network_g"].update(num_leves=2),
            "entries.mine: network_g.num_leves: unknown key; did you mean 'num_levels'?",
        ),
        (
            lambda o: o["entries"]["mine"].update(method={"type": "SelfDeblur"}),
            "entries.mine: has a method, so network_g must go",
        ),
        (
            lambda o: o["entries"].update(fitted={"method": {"type": "SelfDebler"}}),
            "entries.fitted: method.type: no method is registered as 'SelfDebler'; did you mean 'SelfDeblur'?",
        ),
        (
            lambda o: o["entries"].update(fitted={"method": {"type": "SelfDeblur", "iteration": 5}}),
            "entries.fitted: method.iteration: unknown key; did you mean 'iterations'?",
        ),
        (
            lambda o: o["entries"].update(fitted={"method": {"type": "SelfDeblur", "kernel_size": 21}}),
            "entries.fitted: method.kernel_size: found 21",
        ),
        (lambda o: o["entries"]["mine"].update(val={"tile": 32}), "entries.mine.val.tile_overlap: must be less"),
        (lambda o: o["entries"]["mine"].update(path={"pretrain": "a"}), "entries.mine.path.pretrain: unknown key"),
        (lambda o: o["entries"]["mine"].update(base="none.yml"), "none.yml: this option file cannot be read"),
        (lambda o: o["datasets"]["pairs"].update(dataroot_lq="none.lmdb"), "or correct datasets.pairs"),
        (lambda o: o["datasets"]["pairs"].update(papr="GoPro"), "datasets.pairs.papr: unknown key"),
        (lambda o: o["datasets"]["pairs"].update(paper="gopro"), "datasets.pairs.paper: found 'gopro'"),
        (
            lambda o: o.update(metrics={"PSNR": {"type": "calculate_psnrr"}}),
            ": metrics.PSNR.type: no metric is registered as 'calculate_psnrr'",
        ),
        (
            lambda o: o["datasets"]["pairs"].update(metrics={"PSNR": {"type": "calculate_psnrr"}}),
            "datasets.pairs.metrics.PSNR.type: no metric is registered",
        ),
        (lambda o: o.update(cost={"size": [720]}), "cost.size"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    good: dict[str, Any], tmp_path: Path, change: Change, expected: str
) -> None:
    bad = copy.deepcopy(good)
    change(bad)
    with pytest.raises(UserError) as error:
        options.load(write_options(tmp_path / "compare.yml", bad))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_an_entry_takes_its_sections_from_a_test_file(good: dict[str, Any], tmp_path: Path) -> None:
    whole = {
        "name": "mine",
        "network_g": good["entries"]["mine"]["network_g"],
        "path": {"pretrain_network_g": "net.pth", "param_key_g": "params_ema", "results_root": "elsewhere"},
        "val": {"tile": 64, "save_img": True, "metrics": {}},
    }
    (tmp_path / "shared").mkdir()
    write_options(tmp_path / "shared" / "test_mine.yml", whole)
    write_options(tmp_path / "shared" / "compare.yml", {**good, "entries": {"mine": {"base": "test_mine.yml"}}})
    own = {"base": "shared/compare.yml", "entries": {"wide": {"base": "test_mine.yml", "val": {"tile": None}}}}
    own["entries"]["wide"]["network_g"] = {"hidden_channels": 8}
    loaded = options.load(write_options(tmp_path / "own.yml", own))
    assert list(loaded.entries) == ["mine", "wide"]
    assert loaded.entries["mine"].path.model_dump() == {
        "pretrain_network_g": "net.pth",
        "param_key_g": "params_ema",
        "strict_load_g": True,
    }
    assert loaded.entries["mine"].val.tile == 64
    assert loaded.entries["wide"].val.tile is None
    assert loaded.entries["wide"].network_g.model_dump() == {**whole["network_g"], "hidden_channels": 8}


def test_pictures_without_a_truth_keep_the_metrics_that_need_none(good: dict[str, Any], tmp_path: Path) -> None:
    photographs = {key: value for key, value in good["datasets"]["pairs"].items() if key != "dataroot_gt"}
    photographs["type"] = "SingleImageDataset"
    metrics = {
        "PSNR": {"type": "calculate_psnr", "crop_border": 0},
        "NIQE": {"type": "calculate_niqe", "crop_border": 0},
    }
    changed = {**good, "datasets": {**good["datasets"], "photographs": photographs}, "metrics": metrics}
    loaded = options.load(write_options(tmp_path / "compare.yml", changed))
    assert list(loaded.metrics_of("photographs")) == ["NIQE"]
    assert list(loaded.metrics_of("pairs")) == ["PSNR", "NIQE"]


def test_a_missing_library_fails_in_the_row_only(
    good: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spandrel_arch._any_size.cache_clear()  # another test may have built the network before
    for name in ("spandrel", "spandrel.architectures.NAFNet"):
        monkeypatch.setitem(sys.modules, name, None)
    lacking = {**good, "entries": {"rival": {"network_g": {"type": "NAFNet", "width": 4}}}}
    loaded = options.load(write_options(tmp_path / "compare.yml", lacking))
    with pytest.raises(OptionError, match="NAFNet needs the library spandrel; run: pip install"):
        evaluation.build(loaded.entries["rival"], "cpu")


def test_the_shipped_file_passes_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pair(tmp_path / "datasets" / "GoPro", "test", 1)
    monkeypatch.chdir(tmp_path)
    loaded = options.load(ROOT / "options" / "compare_GoPro.yml")
    assert {"UML-IN", "UMLINPlus", "NAFNet"} <= loaded.entries.keys()
    assert all(entry.method is None for entry in loaded.entries.values())
    assert loaded.metrics_of("GoPro") == {name: metric.model_dump() for name, metric in options.METRICS.items()}


def test_the_shipped_file_with_a_per_image_method_passes_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair(tmp_path / "datasets" / "Lai", "uniform", 1)
    monkeypatch.chdir(tmp_path)
    loaded = options.load(ROOT / "options" / "compare_Lai.yml", ["entries:SelfDeblur:method:iterations=5"])
    method = evaluation.build_method(loaded.entries["SelfDeblur"].method)
    assert isinstance(method, SelfDeblur)
    assert (method.iterations, method.kernel_size) == (5, (75, 75))
