"""What a comparison found, and the rows and columns in which it is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from uml_in_arch.compare.options import BLURRY, Comparison

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Cost:
    """What an entry needs on this machine.

    Attributes:
        parameters: numbers in its parameters.
        gmacs: 1e9 multiply-accumulates of convolutions and matrix products at 256x256; None if it cannot run there.
        uses_fft: whether it has Fourier transforms, which ``gmacs`` leaves out.
        latency: seconds for a picture of the chosen size, the median.
        memory: MiB at most above what the process had before the network was built.
        iterations: of a method that iterates; ``gmacs`` and ``latency`` are those of one, timed, times this many.
    """

    parameters: int
    gmacs: float | None
    uses_fft: bool
    latency: float
    memory: float
    iterations: int | None = None


@dataclass(frozen=True)
class Scored:
    """One restored picture: its scores by metric, and the PNG file (None for the blurry input)."""

    dataset: str
    picture: str
    scores: dict[str, float]
    file: str | None


@dataclass
class Result:
    """What is known of one entry; ``error`` says in one line why there is not more."""

    name: str
    arch: str
    restores: bool
    cost: Cost | None = None
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)

    def pictures(self, dataset: str) -> dict[str, Scored]:
        """Its pictures of one data set by name."""
        return {scored.picture: scored for scored in self.scored if scored.dataset == dataset}


@dataclass(frozen=True)
class Column:
    """One column of numbers.

    Attributes:
        key: its key in `Row.values`.
        title: its heading, with the unit.
        better: which way is better.
        digits: after the decimal point.
    """

    key: str
    title: str
    better: Better
    digits: int


@dataclass(frozen=True)
class Row:
    """One entry on one data set; a value that was not measured is absent."""

    entry: str
    arch: str
    values: dict[str, float]
    remark: str
    failed: bool


@dataclass(frozen=True)
class Table:
    """All entries on one data set, the blurry input first."""

    dataset: str
    pictures: int
    columns: list[Column]
    rows: list[Row]

    def text(self, row: Row, column: Column) -> str:
        """A cell as it is shown."""
        return shown(row.values.get(column.key), column.digits)


def shown(value: float | None, digits: int) -> str:
    """A number, or a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value:,.{digits}f}"


def build_table(comparison: Comparison, results: list[Result], dataset: str) -> Table:
    """Means over the pictures of one data set beside the costs."""
    means = {result.name: _means(result, dataset) for result in results}
    measured = {name for scores in means.values() for name in scores}
    better = {name: metric["better"] for name, metric in comparison.metrics_of(dataset).items()}
    better |= {name: metric.better for name, metric in comparison.pyiqa.items() if name in measured}
    quality = [Column(name, name, way, _digits(name, means)) for name, way in better.items()]
    rows = []
    for result in results:
        values = {**means[result.name], **_cost_values(result)}
        rows.append(Row(result.name, result.arch, values, remark(result), result.error is not None))
    return Table(dataset, len(results[0].pictures(dataset)), [*quality, *_cost_columns(comparison, rows)], rows)


def remark(result: Result) -> str:
    """What a reader of the row must know."""
    parts = [f"failed: {result.error}"] if result.error else []
    if not result.error and not result.restores and result.name != BLURRY:
        parts.append("no checkpoint: cost only")
    if result.cost and result.cost.iterations:
        parts.append(_iterations(result.cost, result.cost.iterations))
    if result.cost and result.cost.uses_fft:
        parts.append("GMACs without its FFTs")
    return "; ".join(parts)


def _iterations(cost: Cost, count: int) -> str:
    each = "" if cost.gmacs is None else f" of {cost.gmacs / count:,.1f} GMACs, backward pass included"
    times = "iteration" if count == 1 else "iterations"
    return f"fits each picture in {count:,} {times}{each}; latency: that of one iteration times {count:,}"


def _means(result: Result, dataset: str) -> dict[str, float]:
    pictures = list(result.pictures(dataset).values())
    if not pictures or result.error:
        return {}
    # a metric of pyiqa can fail half-way
    common = [name for name in pictures[0].scores if all(name in scored.scores for scored in pictures)]
    return {name: fmean(scored.scores[name] for scored in pictures) for name in common}


def _digits(name: str, means: Mapping[str, Mapping[str, float]]) -> int:
    """Four digits that matter, more or less, for the largest finite value."""
    values = [abs(scores[name]) for scores in means.values() if math.isfinite(scores.get(name, math.inf))]
    largest = max(values, default=1.0)
    return 2 if largest >= 10 else 4 if largest >= 0.1 else 5


def _cost_values(result: Result) -> dict[str, float]:
    cost = result.cost
    if cost is None:
        return {}
    values = {
        "parameters": cost.parameters / 1e6,
        "gmacs": cost.gmacs,
        "latency": cost.latency * 1e3,
        "rate": 1 / cost.latency,
        "memory": cost.memory,
    }
    return {key: value for key, value in values.items() if value is not None}


def _cost_columns(comparison: Comparison, rows: list[Row]) -> list[Column]:
    height, width = comparison.cost.size
    fast = any(row.values.get("latency", math.inf) < 100 for row in rows)
    slow = any(row.values.get("rate", math.inf) < 0.05 for row in rows)
    return [
        Column("parameters", "parameters (M)", "lower", 3),
        Column("gmacs", "GMACs at 256x256", "lower", 2),
        Column("latency", f"latency (ms) at {width}x{height}", "lower", 1 if fast else 0),
        Column("rate", "images per s", "higher", 5 if slow else 2),
        Column("memory", "peak memory (MiB)", "lower", 0),
    ]
