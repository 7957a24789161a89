"""The comparison's numbers as Markdown and CSV."""

from __future__ import annotations

import csv
import io

from uml_in_arch.compare import paper
from uml_in_arch.compare.options import Comparison
from uml_in_arch.compare.results import Result, Table

LEGEND = (
    "PSNR in dB, SSIM (BasicSR's, 2-D per channel), ssim3d (MATLAB's on RGB volumes, as in most deblurring papers), "
    "MSE on [0, 1]: on RGB rounded to 8 bits, no border crop, mean over pictures. GMACs count convolutions and matrix "
    "products, no FFTs. Latency is the median at batch size 1; peak memory is what the process needed above its start."
)


def markdown(tables: list[Table], notes: list[str], with_paper: dict[str, str]) -> str:
    """All tables of a comparison.

    Args:
        tables: one per data set.
        notes: paragraphs under them.
        with_paper: data set to the paper's column that stands under its table.
    """
    parts = []
    for table in tables:
        parts.append(f"## {_cell(table.dataset)} ({counted(table.pictures)})\n\n{_markdown(table)}")
        if table.dataset in with_paper:
            parts.append(paper_markdown(with_paper[table.dataset]))
    return "\n\n".join([*parts, *notes]) + "\n"


def notes(results: list[Result], machine: str) -> list[str]:
    """What a reader of the numbers must know, in paragraphs."""
    own = dict.fromkeys(note for result in results for note in result.notes)
    costs = (
        f"Costs measured on: {machine}. OMP_WAIT_POLICY=PASSIVE lets waiting threads sleep: without it timings on a "
        "busy machine can be several times too long."
    )
    return [LEGEND, costs, *(f"{note}." for note in own)]


def counted(pictures: int) -> str:
    """A number of pictures in words."""
    return "1 picture" if pictures == 1 else f"{pictures} pictures"


def paper_markdown(data_set: str) -> str:
    """The paper's column for one of its data sets, and whose numbers these are."""
    lines = ["| the paper | PSNR | SSIM | MSE |", "|:--|--:|--:|--:|"]
    for method, scores in paper.reported(data_set).items():
        lines.append(f"| {method} | {scores.psnr:.2f} | {scores.ssim:.3f} | {scores.mse:.3f} |")
    return "\n".join([f"Reported for {data_set}:\n", *lines]) + f"\n\n{paper.WHOSE}"


def paper_columns(comparison: Comparison) -> dict[str, str]:
    """Data set to the paper's data set that its options name."""
    return {name: options.paper for name, options in comparison.datasets.items() if options.paper}


def _markdown(table: Table) -> str:
    remarks = any(row.remark for row in table.rows)
    head = ["entry", *(column.title for column in table.columns), *(["remark"] if remarks else [])]
    rule = [":--", *("--:" for _ in table.columns), *([":--"] if remarks else [])]
    lines = [head, rule]
    for row in table.rows:
        cells = [_cell(row.entry), *(table.text(row, column) for column in table.columns)]
        lines.append([*cells, *([_cell(row.remark)] if remarks else [])])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text that cannot end its cell, nor become markup."""
    for special in "\\|<>*_`[]":
        text = text.replace(special, f"\\{special}")
    return " ".join(text.split())


def table_csv(tables: list[Table]) -> str:
    """One line per data set and entry, with all digits; nothing where nothing was measured."""
    columns = {column.key: column.title for table in tables for column in table.columns}
    lines = [["dataset", "entry", "arch", *columns.values(), "remark"]]
    for table in tables:
        for row in table.rows:
            values = [row.values.get(key, "") for key in columns]
            lines.append([table.dataset, row.entry, row.arch, *values, row.remark])
    return _csv(lines)


def pictures_csv(results: list[Result]) -> str:
    """One line per picture and entry."""
    metrics = dict.fromkeys(name for result in results for scored in result.scored for name in scored.scores)
    lines = [["dataset", "picture", "entry", *metrics]]
    for result in results:
        for scored in result.scored:
            lines.append([scored.dataset, scored.picture, result.name, *(scored.scores.get(m, "") for m in metrics)])
    return _csv(lines)


def _csv(lines: list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
