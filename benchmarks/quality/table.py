"""The table of a bench: what each network scores and costs, beside the reference."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean, stdev
from typing import Any

from benchmarks.quality.options import BenchOptions
from benchmarks.quality.runs import result_file
from benchmarks.quality.scoring import DEBLURRED
from uml_in_arch.compare.cache import read_json
from uml_in_arch.compare.options import BLURRY

Row = dict[str, str]


def markdown(bench: BenchOptions) -> str:
    """All finished trainings, one row per network; means over seeds, with their spread where there are several."""
    results = {name: list(_results(bench, name)) for name in bench.entries}
    done = {name: runs for name, runs in results.items() if runs}
    missing = [name for name, runs in results.items() if len(runs) < len(bench.protocol.seeds)]
    rows = [_input_row(bench, next(iter(done.values()))[0])] if done else []
    rows += [_row(bench, name, runs, results[bench.reference]) for name, runs in done.items()]
    lines = [f"# {bench.name}: {_protocol(bench)}", "", *table_lines(rows)]
    if missing:
        lines += ["", f"Not finished: {', '.join(missing)}"]
    return "\n".join(lines) + "\n"


def _protocol(bench: BenchOptions) -> str:
    protocol = bench.protocol
    return (
        f"{protocol.train['total_iter']} steps of {protocol.batch} crops of {protocol.crop} px, "
        f"{len(protocol.seeds)} seed{'s' if len(protocol.seeds) > 1 else ''}, PSNR in dB"
    )


def _results(bench: BenchOptions, name: str) -> Iterator[dict[str, Any]]:
    for seed in bench.protocol.seeds:
        result = read_json(result_file(bench, name, seed))
        if result is not None:
            yield result


def _input_row(bench: BenchOptions, run: dict[str, Any]) -> Row:
    scores = {name: f"{run['scores'][name][BLURRY]['PSNR']:.2f}" for name in bench.validation}
    return {"network": "(blurry input)", **scores}


def _row(bench: BenchOptions, name: str, runs: list[dict[str, Any]], reference: list[dict[str, Any]]) -> Row:
    cost = runs[0]["cost"]
    gmacs = f"{cost['gmacs']:.3f}"
    if reference:
        share = cost["gmacs"] / reference[0]["cost"]["gmacs"]
        gmacs += "" if abs(share - 1) <= bench.gmacs_tolerance else f" ({share:.2f}x)"
    row = {
        "network": name,
        "M parameters": f"{cost['parameters'] / 1e6:.3f}",
        "GMACs at 256": gmacs + (" + FFT" if cost["uses_fft"] else ""),
        "learning rate": f"{runs[0]['learning_rate']:g}",
    }
    for data_set in bench.validation:
        row[data_set] = _spread([run["scores"][data_set][DEBLURRED]["PSNR"] for run in runs])
    psnr = _mean_psnr(bench, runs)
    row["mean"] = f"{psnr:.2f}"
    if reference:
        row[f"over {bench.reference}"] = f"{psnr - _mean_psnr(bench, reference):+.2f}"
    row["ms at 256"] = f"{1000 * cost['latency']:.0f}"
    row["ms a step"] = f"{1000 * mean(run['training_seconds'] / run['step'] for run in runs):.0f}"
    row["training MiB"] = f"{mean(run['training_mib'] for run in runs):.0f}"
    return row


def _mean_psnr(bench: BenchOptions, runs: list[dict[str, Any]]) -> float:
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
