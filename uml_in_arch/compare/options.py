"""The option file of a comparison: entries, data sets, metrics, how cost is measured."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

import uml_in_arch.compare.registries  # noqa: F401  (what an option file may name; mends BasicSR)
from uml_in_arch import option_check, options
from uml_in_arch.compare.paper import DATA_SETS
from uml_in_arch.errors import OptionError, UserError
from uml_in_arch.methods import METHOD_REGISTRY
from uml_in_arch.options import MetricOptions, OpenSection, Section, did_you_mean

from basicsr.utils.registry import METRIC_REGISTRY

BLURRY = "blurry input"
SHARP = "sharp"
METRICS = {
    "PSNR": MetricOptions(type="calculate_psnr", crop_border=0),
    "SSIM": MetricOptions(type="calculate_ssim", crop_border=0),
    "ssim3d": MetricOptions(type="calculate_ssim3d"),
    "MSE": MetricOptions(type="calculate_mse", better="lower"),
}
_RESTORING = ("tile", "tile_overlap", "pad_multiple")
_WEIGHTS = ("pretrain_network_g", "param_key_g", "strict_load_g")


class NetworkOptions(OpenSection):
    """``network_g``: a registered network and its constructor's arguments."""

    type: str


class MethodOptions(OpenSection):
    """``method``: a registered per-image method and its constructor's arguments."""

    type: str


class WeightOptions(Section):
    """``path`` of an entry, as in a test file; without ``pretrain_network_g`` only the cost is measured."""

    pretrain_network_g: str | None = None
    param_key_g: str | None = "params"
    strict_load_g: bool = True


class RestoreOptions(Section):
    """``val`` of an entry, as in a test file: pictures are padded or tiled like there."""

    tile: int | None = Field(default=None, ge=16)
    tile_overlap: int = Field(default=32, ge=0)
    pad_multiple: int = Field(default=1, ge=1)


class EntryOptions(Section):
    """One network of the comparison, or one method that deblurs each picture by itself.

    Keys:
        network_g, path, val: a network, its checkpoint, how it restores.
        method: instead of all three.
    """

    network_g: NetworkOptions | None = None
    path: WeightOptions = WeightOptions()
    val: RestoreOptions = RestoreOptions()
    method: MethodOptions | None = None

    @property
    def arch(self) -> str:
        """The registered name of its network or method."""
        return (self.method or self.network_g).type

    @property
    def restores(self) -> bool:
        """Whether it has all that it takes to restore pictures; if not, only its cost is measured."""
        return self.method is not None or bool(self.path.pretrain_network_g)


class CostOptions(Section):
    """How latency and memory are measured. A pass of a per-image method is one of its iterations.

    Keys:
        size: height and width of the picture, in pixels.
        warm_up: passes before the clock starts.
        repeats: passes whose median is shown.
    """

    size: tuple[PositiveInt, PositiveInt] = (720, 1280)
    warm_up: int = Field(default=2, ge=0)
    repeats: PositiveInt = 5


class PageOptions(Section):
    """What ``index.html`` and the crop sheets show.

    Keys:
        pictures: pictures of each data set that can be looked at, evenly spread over it.
        jpeg_quality: of the pictures in the page; scores always come from the lossless files.
        crops: places of each picture that are proposed as crops, those where the entries differ most.
        crop_size: their side in pixels.
    """

    pictures: int = Field(default=5, ge=0)
    jpeg_quality: int = Field(default=90, ge=1, le=100)
    crops: int = Field(default=3, ge=1, le=8)
    crop_size: int = Field(default=112, ge=16)


class DatasetOptions(BaseModel):
    """One data set: a BasicSR test section, and what the comparison adds to it.

    Keys:
        limit: take this many pictures from the start only.
        metrics: instead of the comparison's, for this data set.
        paper: the column of the paper's table that this data set repeats.
    """

    model_config = ConfigDict(extra="allow")
    type: str
    limit: PositiveInt | None = None
    metrics: dict[str, MetricOptions] | None = None
    paper: Literal[DATA_SETS] | None = None  # type: ignore[valid-type]

    def section(self, name: str) -> dict[str, Any]:
        """What BasicSR's ``build_dataset`` gets."""
        return {"name": name, "phase": "test", "scale": 1, **(self.model_extra or {}), "type": self.type}

    @property
    def has_truth(self) -> bool:
        """Whether there is a sharp picture to compare with."""
        return self.type != "SingleImageDataset"


class Comparison(Section):
    """A whole option file.

    Keys:
        name: heading of the page.
        output: folder for everything that is written; ``results/compare_NAME`` by default.
        device: ``auto`` takes a GPU if there is one.
        threads: CPU threads of each network; PyTorch's choice by default.
        entries: name to network or method. ``base: FILE`` takes ``network_g``, ``path`` and ``val`` from a test file.
        datasets: name to data set.
        metrics: name to registered metric, as in ``val.metrics``.
        pyiqa: name to a metric of that library, as ``{type: lpips, better: lower}``; left out where it is missing.
    """

    name: str
    output: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: PositiveInt | None = None
    entries: dict[str, EntryOptions] = Field(min_length=1)
    datasets: dict[str, DatasetOptions] = Field(min_length=1)
    metrics: dict[str, MetricOptions] = Field(default_factory=lambda: dict(METRICS))
    pyiqa: dict[str, MetricOptions] = {}
    cost: CostOptions = CostOptions()
    page: PageOptions = PageOptions()

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return Path(self.output or f"results/compare_{self.name}").expanduser()

    def metrics_of(self, dataset: str) -> dict[str, dict[str, Any]]:
        """Name to ``{type, better, arguments}`` of the registered metrics that a data set allows."""
        own = self.datasets[dataset].metrics
        chosen = self.metrics if own is None else own
        has_truth = self.datasets[dataset].has_truth
        return {name: metric.model_dump() for name, metric in chosen.items() if has_truth or not _needs_truth(metric)}


def _needs_truth(metric: MetricOptions) -> bool:
    function = dict(iter(METRIC_REGISTRY)).get(metric.type)
    return function is not None and "img2" in inspect.signature(function).parameters


def load(path: str | Path, overrides: tuple[str, ...] = ()) -> Comparison:
    """Read and check an option file: nothing has been run or written when it returns or raises.

    A network that lacks an optional library passes: it fails in its own row.

    Raises:
        OptionError: A key is unknown, missing or has an impossible value.
        DataError: Data is missing or does not fit.
    """
    content = options.load(path, overrides)
    try:
        content["entries"] = _with_bases(content.get("entries"), list(_folders(Path(path))))
        _check_names(content)
        option_check.validate(Comparison, content, ())
        comparison = Comparison.model_validate(_without_none(content))
        _check_values(comparison)
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error
    _check_parts(comparison, str(path))
    return comparison


def _with_bases(entries: Any, folders: list[Path]) -> Any:
    """Entries with their ``base`` replaced by the sections of that test file that an entry may have."""
    if not isinstance(entries, Mapping):
        return entries
    return {
        name: _with_base(name, dict(entry), folders) if isinstance(entry, Mapping) and "base" in entry else entry
        for name, entry in entries.items()
    }


def _with_base(name: str, entry: dict[str, Any], folders: list[Path]) -> dict[str, Any]:
    base = entry.pop("base")
    if not isinstance(base, str):
        raise OptionError(f"entries.{name}.base: found {base!r}, the name of a test file is expected")
    found = [folder / base for folder in folders if (folder / base).is_file()]
    return options.merge(entry_of(options.load(found[0] if found else folders[0] / base)), entry)


def entry_of(whole: Mapping[str, Any]) -> dict[str, Any]:
    """What a test file says of its network: the sections and keys of `EntryOptions`, not checked yet."""
    known = {"network_g": None, "path": _WEIGHTS, "val": _RESTORING}
    return {
        section: {key: value for key, value in (whole.get(section) or {}).items() if keys is None or key in keys}
        for section, keys in known.items()
    }


def _folders(path: Path) -> Iterator[Path]:
    """The folders of an option file and of its bases, where the entries' bases are looked for."""
    yield path.parent
    bases = (yaml.load(path.expanduser().read_text(encoding="utf-8"), options.Loader) or {}).get("base", [])
    for base in [bases] if isinstance(bases, str) else bases:
        yield from _folders(path.parent / base)


def _without_none(value: Any) -> Any:
    """``key: ~`` says the same as no key."""
    if not isinstance(value, Mapping):
        return value
    return {
        key: _without_none(inner)
        for key, inner in value.items()
        if inner is not None or key == "param_key_g"  # where ~ means a bare state dict
    }


def _check_names(content: Mapping[str, Any]) -> None:
    for kind in ("entries", "datasets"):
        section = content.get(kind)
        for name in section if isinstance(section, Mapping) else ():
            if not isinstance(name, str) or not name.strip() or name in (BLURRY, SHARP):
                raise OptionError(
                    f"{kind}: {name!r} cannot be a name here; choose another, in quotes if it is a number"
                )


def _check_values(comparison: Comparison) -> None:
    if comparison.device == "cuda" and not torch.cuda.is_available():
        raise OptionError("device: PyTorch finds no GPU here; set it to auto or cpu")
    for name, entry in comparison.entries.items():
        if entry.method is None and entry.network_g is None:
            raise OptionError(f"entries.{name}.network_g: missing; add it, or a per-image method")
        unused = {"network_g", "path", "val"} & entry.model_fields_set
        if entry.method is not None and unused:
            raise OptionError(f"entries.{name}: has a method, so {' and '.join(sorted(unused))} must go")
        if entry.val.tile is not None and entry.val.tile_overlap >= entry.val.tile:
            raise OptionError(f"entries.{name}.val.tile_overlap: must be less than the tile, {entry.val.tile}")


def _check_parts(comparison: Comparison, source: str) -> None:
    """Check each data set and network as the options of a test run, which they are."""
    plain = {"type": "UMLIN", "num_levels": 1, "num_steps": 1, "hidden_channels": 4}
    for name, dataset in comparison.datasets.items():
        metrics = "metrics" if dataset.metrics is None else f"datasets.{name}.metrics"
        try:
            option_check.check(_test_options(comparison, name, plain), False, source)
        except UserError as error:
            places = {"datasets.test": f"datasets.{name}", "val.metrics": metrics}
            text = reduce(lambda message, place: message.replace(*place), places.items(), str(error))
            raise type(error)(text) from error
    first = next(iter(comparison.datasets))
    for name, entry in comparison.entries.items():
        if entry.method is not None:
            _check_method(entry.method, f"{source}: entries.{name}")
            continue
        network = entry.network_g.model_dump()
        try:
            option_check.check(_test_options(comparison, first, network), False, f"{source}: entries.{name}")
        except OptionError as error:
            if not _lacks_library(error):
                raise


def _check_method(method: MethodOptions, source: str) -> None:
    if method.type not in METHOD_REGISTRY:
        hint = did_you_mean(method.type, METHOD_REGISTRY.keys())
        raise OptionError(f"{source}: method.type: no method is registered as {method.type!r}{hint}")
    try:
        option_check.check_arguments(METHOD_REGISTRY.get(method.type), method.model_extra or {}, ("method",))
    except OptionError as error:
        raise OptionError(f"{source}: {error}") from error


def _test_options(comparison: Comparison, dataset: str, network: dict[str, Any]) -> dict[str, Any]:
    section = comparison.datasets[dataset].section(dataset)
    return {
        "name": comparison.name,
        "model_type": "UMLINModel",
        "scale": 1,
        "num_gpu": 0,
        "datasets": {"test": {key: value for key, value in section.items() if key not in ("phase", "scale")}},
        "network_g": network,
        "path": {},
        "val": {"metrics": comparison.metrics_of(dataset)},
    }


def _lacks_library(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ImportError):
            return True
        error = error.__cause__
    return False
