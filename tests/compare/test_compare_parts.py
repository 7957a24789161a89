"""The parts of a comparison that need no process of their own."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from tiny import paired_options, write_pair
from torch import Tensor, nn
from torch.nn import functional as F

from uml_in_arch.archs import UMLIN
from uml_in_arch.compare import cost, evaluation, gallery, paper, scatter, sources
from uml_in_arch.compare.options import Comparison, CostOptions, EntryOptions, MethodOptions
from uml_in_arch.compare.results import Cost, Result, Scored, build_table, remark
from uml_in_arch.errors import CheckpointError, UserError
from uml_in_arch.methods import PerImageMethod

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("data")
    section = paired_options(*write_pair(folder, "pair", 2))
    section.pop("name")
    network = {"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": 1}
    entries = {"a": {"network_g": network}, "b": {"network_g": network}}
    content = {"name": "x", "output": str(folder / "out"), "entries": entries, "datasets": {"pairs": section}}
    return Comparison.model_validate(content)


class Halves(nn.Module):
    """A convolution, then the middle half of the spectrum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(self.conv(image)), s=image.shape[-2:])


def test_cost_of_a_convolution() -> None:
    net = nn.Conv2d(3, 8, 3, padding=1)
    measured = cost.measure(net, net, CostOptions(size=(32, 32), repeats=3), CPU, cost.PeakMemory(CPU))
    assert measured.parameters == 3 * 8 * 9 + 8
    assert measured.gmacs == pytest.approx(3 * 8 * 9 * 256**2 / 1e9)
    assert not measured.uses_fft
    assert measured.latency > 0


def test_fourier_transforms_are_noticed_and_not_counted() -> None:
    net = Halves()
    measured = cost.measure(net, net, CostOptions(size=(32, 32), repeats=1), CPU, cost.PeakMemory(CPU))
    assert measured.gmacs == pytest.approx(3 * 3 * 9 * 256**2 / 1e9)
    assert measured.uses_fft


def test_peak_memory_remembers_what_was_freed() -> None:
    memory = cost.PeakMemory(CPU)
    torch.ones(300 * 2**18)  # MiB of float32
    assert memory.mib() > 250


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (nn.Upsample(scale_factor=2), "deblurring keeps the size"),
        (nn.Threshold(2.0, math.nan), "not finite"),
        (lambda image: [image], "list came back"),
    ],
)
def test_what_is_no_picture_is_refused(comparison: Comparison, tmp_path: Path, net: Any, expected: str) -> None:
    with pytest.raises(UserError, match=expected) as error:
        list(evaluation.evaluate(comparison, net, tmp_path, CPU, print))
    assert str(error.value).startswith("p0: ")
    assert not list(tmp_path.rglob("*.png"))


def test_scores_of_the_blurry_input_and_of_a_restored_copy_are_equal(comparison: Comparison, tmp_path: Path) -> None:
    blurry = list(evaluation.evaluate(comparison, None, tmp_path / "a", CPU, print))
    copies = list(evaluation.evaluate(comparison, nn.Identity(), tmp_path / "b", CPU, print))
    assert [scored.scores for scored in blurry] == [scored.scores for scored in copies]
    assert {"PSNR", "SSIM", "ssim3d", "MSE"} == blurry[0].scores.keys()
    assert all(Path(scored.file).is_file() for scored in copies)


def test_another_checkpoint_has_another_folder(comparison: Comparison, tmp_path: Path) -> None:
    folders = set()
    for seed in (0, 1, 1):
        torch.manual_seed(seed)
        entry = comparison.entries["a"].model_copy(deep=True)
        entry.path.pretrain_network_g = str(tmp_path / "net.pth")
        net = evaluation.build(entry, CPU)
        torch.save({"params": net.state_dict()}, tmp_path / "net.pth")
        folders.add(evaluation.cached_folder(comparison, entry, net))
    assert len(folders) == 2


def test_another_method_has_another_folder(comparison: Comparison) -> None:
    folders = set()
    for iterations in (5, 6, 6):
        method = MethodOptions(type="SelfDeblur", iterations=iterations)
        entry = EntryOptions(method=method)
        folders.add(evaluation.cached_folder(comparison, entry, evaluation.build_method(method)))
    assert len(folders) == 2


NET = """
from torch import nn
from edited.parts import conv

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv()
"""
PARTS = "from torch import nn\nconv = lambda: nn.Conv2d(3, 3, 1)\n"


def test_an_edited_network_has_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "edited"
    folder.mkdir()
    for name, text in {"__init__": "", "net": NET, "parts": PARTS, "other": ""}.items():
        (folder / f"{name}.py").write_text(text)
    classes = sources.classes_of(importlib.import_module("edited.net").Net())
    importlib.import_module("edited.other")
    digests = [sources.digest_of(classes)]
    for name in ("other", "net", "parts"):
        (folder / f"{name}.py").write_text(f"{(folder / name).with_suffix('.py').read_text()}# edited\n")
        digests.append(sources.digest_of(classes))
    unedited, other, net, parts = digests
    assert unedited == other
    assert len({unedited, net, parts}) == 3


def test_digest_covers_the_flows_of_ours() -> None:
    digest = sources.digest_of([UMLIN])
    assert digest == sources.digest_of([UMLIN, nn.Conv2d])
    assert digest != sources.digest_of(sources.classes_of(UMLIN(num_levels=1, num_steps=1, hidden_channels=4)))


class Counts(PerImageMethod):
    """Each iteration is one 1x1 convolution of three channels, and its gradient to the weights."""

    iterations = 7

    def parameters(self) -> int:
        return 9

    def estimates(self, blurry: Tensor) -> Iterator[Tensor]:
        weights = torch.eye(3).view(3, 3, 1, 1).requires_grad_()
        for _ in range(self.iterations):
            result = F.conv2d(blurry, weights)
            result.sum().backward()
            yield result.detach()


def test_cost_of_a_method_is_that_of_an_iteration_times_their_number() -> None:
    options = CostOptions(size=(32, 32), warm_up=20, repeats=3)
    measured = cost.measure_method(Counts(), options, CPU, cost.PeakMemory(CPU))
    assert (measured.parameters, measured.iterations) == (9, 7)
    assert measured.gmacs == pytest.approx(7 * 2 * 9 * 256**2 / 1e9)
    assert measured.latency > 0
    shown = remark(Result("x", "Counts", True, measured))
    assert shown == (
        "fits each picture in 7 iterations of 0.0 GMACs, backward pass included; latency: that of one iteration times 7"
    )


def test_a_method_restores_with_gradients_whatever_the_caller_has() -> None:
    told: list[int] = []
    with torch.no_grad():
        Counts().restore(torch.rand(1, 3, 4, 5), told.append)
    assert told == [1, 2, 3, 4, 5, 6, 7]


def test_broken_checkpoint(comparison: Comparison, tmp_path: Path) -> None:
    entry = comparison.entries["a"].model_copy(deep=True)
    entry.path.pretrain_network_g = str(tmp_path / "net.pth")
    net = evaluation.build(entry, CPU)
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        evaluation.load_weights(net, entry)
    (tmp_path / "net.pth").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="is broken"):
        evaluation.load_weights(net, entry)


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("GOPR01/000001", "a.lmdb", "GOPR01/000001"),
        ("data/blur/one/1.5.png", "data/blur", "one/1.5"),
        ("astronaut", None, "astronaut"),
    ],
)
def test_picture_names(path: str, root: str | None, expected: str) -> None:
    assert evaluation.picture_name(path, {"dataroot_lq": root}) == expected


def result(name: str, psnr: float, gmacs: float) -> Result:
    return Result(
        name, "Net", True, Cost(10, gmacs, False, 0.5, 3.0), None, [], [Scored("pairs", "p0", {"PSNR": psnr}, None)]
    )


def test_table_shows_infinity_dashes_and_rates(comparison: Comparison) -> None:
    base = Result("blurry input", "", False, scored=[Scored("pairs", "p0", {"PSNR": 25.0}, None)])
    table = build_table(comparison, [base, result("equal", math.inf, 1.0)], "pairs")
    columns = {column.key: column for column in table.columns}
    assert table.text(table.rows[1], columns["PSNR"]) == "∞"
    assert table.text(table.rows[0], columns["latency"]) == "–"
    assert table.text(table.rows[1], columns["rate"]) == "2.00"
    assert scatter.plots(build_table(comparison, [base], "pairs")) == []


def test_plot_places_better_higher_and_cheaper_further_left(comparison: Comparison) -> None:
    base = Result("blurry input", "", False, scored=[Scored("pairs", "p0", {"PSNR": 25.0}, None)])
    results = [base, result("small", 30.0, 1.0), result("<large> & good", 33.0, 60.0), result("large too", 33.0, 60.5)]
    plots = dict((column.key, plot) for column, plot in scatter.plots(build_table(comparison, results, "pairs")))
    small, large, twin = plots["gmacs"].dots
    assert small.x < large.x < twin.x
    assert large.y < small.y < plots["gmacs"].reference[1]
    assert abs(large.label_y - twin.label_y) > 10 or abs(large.label_x - twin.label_x) > 60
    root = ElementTree.fromstring(scatter.svg(plots["gmacs"], "PSNR & cost"))
    assert "<large> & good" in [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert scatter.png(plots["gmacs"]).shape == (2 * scatter.HEIGHT, 2 * scatter.WIDTH, 3)


def test_crops_are_where_the_pictures_differ() -> None:
    pictures = [np.zeros((60, 80, 3), np.uint8) for _ in range(3)]
    pictures[1][40:56, 50:66] = 200
    pictures[2][0:16, 0:16] = 90
    crops = gallery.find_crops(pictures, 16, 8)
    assert crops[:2] == [(50, 40), (0, 0)]
    for index, (x, y) in enumerate(crops):
        assert 0 <= x <= 64 and 0 <= y <= 44
        assert all(abs(x - a) >= 16 or abs(y - b) >= 16 for a, b in crops[:index])


def test_one_crop_of_a_picture_that_is_no_larger() -> None:
    assert gallery.find_crops([np.zeros((16, 16, 3), np.uint8)], 16, 3) == [(0, 0)]


def test_paper_has_every_method_on_every_data_set() -> None:
    columns = [paper.reported(data_set) for data_set in paper.DATA_SETS]
    assert {len(column) for column in columns} == {10}
    assert columns[1]["DED"] == (28.64, 0.925, 0.003)
    assert max(columns[0], key=lambda method: columns[0][method].psnr) == "UML-IN"
