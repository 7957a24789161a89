"""The table of a bench: what each network scores and costs, beside the reference."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

from benchmarks.quality.costs import NetworkCost
from benchmarks.quality.options import BenchOptions
from benchmarks.quality.runs import result_file
from benchmarks.quality.scoring import DEBLURRED
from uml_in_arch.compare.cache import read_json
from uml_in_arch.compare.options import BLURRY

Row = dict[str, str]
Run = dict[str, Any]
"""The result of one training, as its worker wrote it."""


def finished_runs(bench: BenchOptions) -> dict[str, list[Run]]:
    """The results of all finished trainings, by entry; entries without any are left out."""
    found = {
        name: [read_json(result_file(bench, name, seed)) for seed in bench.protocol.seeds] for name in bench.entries
    }
    runs = {name: [result for result in results if result is not None] for name, results in found.items()}
    return {name: results for name, results in runs.items() if results}


def markdown(bench: BenchOptions, runs: dict[str, list[Run]], costs: dict[str, NetworkCost]) -> str:
    """`finished_runs` and what they cost, one row per network; means over seeds, with their spread if several."""
    rows = [_input_row(bench, next(iter(runs.values()))[0])] if runs else []
    rows += [_row(bench, name, runs, costs) for name in runs]
    lines = [f"# {bench.name}: {_protocol(bench)}", "", *table_lines(rows)]
    missing = [name for name in bench.entries if len(runs.get(name, [])) < len(bench.protocol.seeds)]
    if missing:
        lines += ["", f"Not finished: {', '.join(missing)}"]
    return "\n".join(lines) + "\n"


def _protocol(bench: BenchOptions) -> str:
    protocol = bench.protocol
    return (
        f"{protocol.train['total_iter']} steps of {protocol.batch} crops of {protocol.crop} px, "
        f"{len(protocol.seeds)} seed{'s' if len(protocol.seeds) > 1 else ''}, PSNR in dB"
    )


def _input_row(bench: BenchOptions, run: Run) -> Row:
    scores = {name: f"{run['scores'][name][BLURRY]['PSNR']:.2f}" for name in bench.validation}
    return {"network": "(blurry input)", **scores}


def _row(bench: BenchOptions, name: str, runs: dict[str, list[Run]], costs: dict[str, NetworkCost]) -> Row:
    own, cost = runs[name], costs[name]
    reference = costs.get(bench.reference)
    gmacs, milliseconds = f"{cost['gmacs']:.3f}", f"{1000 * cost['latency']:.1f}"
    if reference:
        share = cost["gmacs"] / reference["gmacs"]
        gmacs += "" if abs(share - 1) <= bench.gmacs_tolerance else f" ({share:.2f}x)"
        milliseconds += f" ({cost['latency'] / reference['latency']:.2f}x)"
    row = {
        "network": name,
        "M parameters": f"{cost['parameters'] / 1e6:.3f}",
        "GMACs at 256": gmacs + (" + FFT" if cost["uses_fft"] else ""),
        "learning rate": f"{own[0]['learning_rate']:g}",
    }
    for data_set in bench.validation:
        row[data_set] = _spread([run["scores"][data_set][DEBLURRED]["PSNR"] for run in own])
    psnr = _mean_psnr(bench, own)
    row["mean"] = f"{psnr:.2f}"
    if reference:
        row[f"over {bench.reference}"] = f"{psnr - _mean_psnr(bench, runs[bench.reference]):+.2f}"
    row["ms at 256"] = milliseconds
    row["ms a step"] = f"{1000 * mean(run['training_seconds'] / run['step'] for run in own):.0f}"
    row["training MiB"] = f"{mean(run['training_mib'] for run in own):.0f}"
    return row


def _mean_psnr(bench: BenchOptions, runs: list[Run]) -> float:
    return mean(run["scores"][data_set][DEBLURRED]["PSNR"] for run in runs for data_set in bench.validation)


def _spread(values: list[float]) -> str:
    return f"{mean(values):.2f}" + (f" ±{stdev(values):.2f}" if len(values) > 1 else "")


def table_lines(rows: list[Row]) -> list[str]:
    """Rows as Markdown; the columns are the last row's, the first of them text."""
    if not rows:
        return ["No training has finished yet; run the same command again to go on."]
    columns = list(rows[-1])
    lines = ["| " + " | ".join(columns) + " |", "|" + "|".join([":---", *["---:"] * (len(columns) - 1)]) + "|"]
    return lines + ["| " + " | ".join(row.get(column, "") for column in columns) + " |" for row in rows]
