"""A whole comparison, with real processes, on small data."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import cv2
import pytest
import torch
from tiny import paired_options, write_options, write_pair

from uml_in_arch import cli
from uml_in_arch.compare import __main__ as compare
from uml_in_arch.compare import paper
from uml_in_arch.methods import SelfDeblur
from uml_in_arch.models.tiling import restore

from basicsr.archs import build_network
from basicsr.data import build_dataset
from basicsr.metrics import calculate_metric
from basicsr.utils import tensor2img

METHOD = {"type": "SelfDeblur", "iterations": 4, "kernel_size": [5, 7], "channels": 4}
NETWORK = {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": 1}
EVIL = "</script><script>alert(1)</script>"
METRICS = {
    "PSNR": {"type": "calculate_psnr", "crop_border": 0},
    "SSIM": {"type": "calculate_ssim", "crop_border": 0},
    "ssim3d": {"type": "calculate_ssim3d"},
    "MSE": {"type": "calculate_mse"},
}


@dataclass
class Done:
    status: int
    folder: Path
    options: dict[str, Any]
    printed: str

    def rows(self, name: str = "table.csv") -> list[dict[str, str]]:
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))


def comparison_options(folder: Path, entries: dict[str, Any], pictures: int) -> dict[str, Any]:
    section = paired_options(*write_pair(folder, "pair", pictures, 64))
    section.pop("name")
    return {
        "name": "tiny",
        "output": str(folder / "out"),
        "threads": 1,
        "entries": entries,
        "datasets": {"pairs": {**section, "paper": "GoPro"}},
        "cost": {"size": [32, 48], "warm_up": 1, "repeats": 2},
        "page": {"pictures": 2, "crop_size": 16, "crops": 2},
    }


def blurry_pictures(done: Done) -> list[dict[str, Any]]:
    section = {key: value for key, value in done.options["datasets"]["pairs"].items() if key != "paper"}
    dataset = build_dataset({**section, "name": "pairs", "phase": "test", "scale": 1})
    return [dataset[index] for index in range(3)]


def save_network(file: Path, options: dict[str, Any]) -> Path:
    torch.manual_seed(0)
    torch.save({"params": build_network(options).state_dict()}, file)
    return file


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("comparison")
    weights = {"pretrain_network_g": str(save_network(folder / "net.pth", NETWORK))}
    entries = {
        "compact": {"network_g": NETWORK, "path": weights, "val": {"tile": 48, "tile_overlap": 16}},
        "other's weights": {"network_g": {**NETWORK, "num_feat": 6}, "path": weights},
        EVIL: {"network_g": NETWORK},
        "fitted": {"method": METHOD},
    }
    options = comparison_options(folder, entries, 3)
    file = write_options(folder / "compare.yml", options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["compare", "-opt", str(file), "--paper"])
        patch.setenv("OMP_NUM_THREADS", "1")
        status = compare.main()
    yield Done(status, folder / "out", options, (folder / "out" / "table.md").read_text())


def test_scores_are_those_of_the_metrics_by_hand(done: Done) -> None:
    net = build_network(NETWORK)
    net.load_state_dict(torch.load(done.options["entries"]["compact"]["path"]["pretrain_network_g"])["params"])
    by_hand: dict[str, dict[str, list[float]]] = {"blurry input": {}, "compact": {}}
    for item in blurry_pictures(done):
        with torch.no_grad():
            tiled = restore(net, item["lq"][None], tile=48, overlap=16)
            pictures = {"blurry input": tensor2img(item["lq"]), "compact": tensor2img(tiled)}
        for entry, picture in pictures.items():
            for name, metric in METRICS.items():
                value = calculate_metric({"img": picture, "img2": tensor2img(item["gt"])}, dict(metric))
                by_hand[entry].setdefault(name, []).append(value)
    rows = {row["entry"]: row for row in done.rows()}
    for entry, scores in by_hand.items():
        for name, values in scores.items():
            assert float(rows[entry][name]) == pytest.approx(fmean(values), rel=1e-12)
    per_picture = [row for row in done.rows("pictures.csv") if row["entry"] == "compact"]
    assert [row["picture"] for row in per_picture] == ["p0", "p1", "p2"]
    assert fmean(float(row["PSNR"]) for row in per_picture) == pytest.approx(float(rows["compact"]["PSNR"]))


def test_failed_and_cost_only_rows_say_so_and_the_rest_goes_on(done: Done) -> None:
    assert done.status == compare.EXIT_SOME_FAILED
    blurry, compact, others, evil, _ = done.rows()
    assert (blurry["entry"], compact["entry"], evil["entry"]) == ("blurry input", "compact", EVIL)
    assert compact["remark"] == ""
    assert "these are not weights of SRVGGNetCompact" in others["remark"]
    assert "\n" not in others["remark"]
    assert evil["remark"] == "no checkpoint: cost only"
    for row in (compact, others, evil):
        assert float(row["latency (ms) at 48x32"]) > 0
        assert float(row["images per s"]) == pytest.approx(1e3 / float(row["latency (ms) at 48x32"]))
    for row in (others, evil):
        assert {row[name] for name in METRICS} == {""}
    assert {blurry["parameters (M)"], blurry["GMACs at 256x256"]} == {""}
    parameters = sum(parameter.numel() for parameter in build_network(NETWORK).parameters())
    assert float(compact["parameters (M)"]) == pytest.approx(parameters / 1e6)


def test_per_image_method_has_a_row_like_a_network(done: Done) -> None:
    row = done.rows()[-1]
    assert (row["entry"], row["arch"]) == ("fitted", "SelfDeblur")
    assert row["remark"].startswith("fits each picture in 4 iterations of ")
    assert row["remark"].endswith("; latency: that of one iteration times 4; GMACs without its FFTs")
    own = {key: value for key, value in METHOD.items() if key != "type"}
    assert float(row["parameters (M)"]) == pytest.approx(SelfDeblur(**own).parameters() / 1e6)
    item = blurry_pictures(done)[0]
    by_hand = calculate_metric(
        {"img": tensor2img(SelfDeblur(**own).restore(item["lq"][None])), "img2": tensor2img(item["gt"])},
        dict(METRICS["PSNR"]),
    )
    (score,) = (r["PSNR"] for r in done.rows("pictures.csv") if (r["entry"], r["picture"]) == ("fitted", "p0"))
    assert float(score) == pytest.approx(by_hand, abs=0.05)  # the worker may run another number of threads


def test_paper_stands_beside_ours_and_says_whose_it_is(done: Done) -> None:
    assert "| UML-IN | 32.49 | 0.954 | 0.002 |" in done.printed
    assert paper.WHOSE in done.printed


def test_every_row_of_the_markdown_has_the_same_cells(done: Done) -> None:
    ours = done.printed.split("\n\n")[1].splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in ours}) == 1
    assert "<script>" not in done.printed


def test_page_is_one_file_and_names_cannot_break_it(done: Done) -> None:
    page = (done.folder / "index.html").read_text()
    assert "alert(1)</script>" not in page
    assert not re.search(r"""(?:src|href)=["']?(?!data:)\w""", page)
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    (dataset,) = data["datasets"]
    assert [row["entry"] for row in dataset["rows"]] == ["blurry input", "compact", "other's weights", EVIL, "fitted"]
    assert [exhibit["picture"] for exhibit in dataset["exhibits"]] == ["p0", "p2"]
    assert [name for name, _ in dataset["exhibits"][0]["versions"]] == ["blurry input", "compact", "fitted", "sharp"]


def test_crop_sheets_and_plots_are_pictures(done: Done) -> None:
    sheets = sorted((done.folder / "crops").iterdir())
    assert [sheet.name for sheet in sheets] == ["pairs_p0.png", "pairs_p2.png"]
    for file in (*sheets, *done.folder.glob("scatter_pairs_*.png")):
        assert cv2.imread(str(file)).std() > 5
    assert len(list(done.folder.glob("scatter_pairs_*.png"))) == 3


SCRIPT = """
<script>
const results = [];
const headings = [...document.querySelectorAll("#table thead button")];
const heading = (text) => headings.find((button) => button.textContent.startsWith(text));
const first = () => document.querySelector("#table tbody th").firstChild.textContent;
const press = (key, shiftKey) => document.getElementById("slider")
  .dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true }));
addEventListener("load", () => setTimeout(() => {
  heading("PSNR").click(); results.push(first());
  heading("PSNR").click(); results.push(first());
  press("ArrowRight", false); results.push(document.getElementById("slider").value);
  const before = document.getElementById("frame").style.left;
  document.querySelectorAll("#places button")[1].click();
  results.push(before !== document.getElementById("frame").style.left);
  results.push(document.querySelectorAll("#crops canvas").length);
  results.push([...document.querySelectorAll("#table tbody th")].some((th) => th.textContent.includes("alert(1)")));
  document.body.dataset.results = JSON.stringify(results);
}, 300));
</script>
"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_page_works_in_a_browser(done: Done, tmp_path: Path) -> None:
    page = (done.folder / "index.html").read_text()
    (tmp_path / "page.html").write_text(page.replace("</body>", f"{SCRIPT}</body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'user'}"]
    command += ["--virtual-time-budget=5000", "--dump-dom", (tmp_path / "page.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    results = json.loads(re.search(r'data-results="([^"]*)"', shown)[1].replace("&quot;", '"'))
    scores = {row["entry"]: float(row["PSNR"]) for row in done.rows() if row["PSNR"]}
    ordered = sorted(scores, key=lambda entry: -scores[entry])
    assert results == [ordered[0], ordered[-1], "520", True, 4, True]


def test_killed_run_goes_on_where_it_stopped(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {"pretrain_network_g": str(save_network(tmp_path / "net.pth", NETWORK))}
    count = 150
    options = comparison_options(tmp_path, {"compact": {"network_g": NETWORK, "path": weights}}, count)
    file = write_options(tmp_path / "compare.yml", options)
    process = subprocess.Popen(
        [sys.executable, "-m", "uml_in_arch.compare", "-opt", str(file)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    kept = wait_for_pictures(tmp_path / "out", 5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until_nothing_is_written(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in kept}
    stopped_at = len(restored(tmp_path / "out"))
    assert stopped_at < count
    damaged = kept[0]
    damaged.write_bytes(b"nonsense")
    monkeypatch.setattr(sys, "argv", ["compare", "-opt", str(file)])
    assert compare.main() == 0
    assert len(restored(tmp_path / "out")) == count
    assert cv2.imread(str(damaged)) is not None
    assert all(path.stat().st_mtime_ns == before[path] for path in kept[1:])
    rows = Done(0, tmp_path / "out", options, "").rows("pictures.csv")
    assert sum(row["entry"] == "compact" for row in rows) == count


def restored(folder: Path) -> list[Path]:
    return [path for path in folder.glob("restored/SRVGG*/pairs/*.png") if not path.name.startswith(".")]


def wait_for_pictures(folder: Path, count: int) -> list[Path]:
    end = time.monotonic() + 120
    while len(found := restored(folder)) < count:
        assert time.monotonic() < end
        time.sleep(0.005)
    return found


def wait_until_nothing_is_written(folder: Path) -> None:
    """The worker must end with its parent."""
    end = time.monotonic() + 30
    while True:
        before = len(restored(folder))
        time.sleep(0.5)
        if len(restored(folder)) == before:
            return
        assert time.monotonic() < end


def test_user_error_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", "-opt", os.fspath(tmp_path / "none.yml")])
    with pytest.raises(SystemExit) as ended:
        cli.run(compare.main)
    assert ended.value.code == cli.EXIT_USER_ERROR
    assert re.fullmatch(r"error: .*none\.yml: this option file cannot be read.*\n", capsys.readouterr().err)
