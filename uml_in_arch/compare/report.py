"""Writes everything that a comparison shows into its folder."""

from __future__ import annotations

from uml_in_arch.compare import scatter
from uml_in_arch.compare.cache import file_name, write_bytes, write_png
from uml_in_arch.compare.gallery import Exhibit, crop_sheet, exhibits
from uml_in_arch.compare.options import SHARP, Comparison
from uml_in_arch.compare.page import Page
from uml_in_arch.compare.results import Result, Table, build_table, shown
from uml_in_arch.compare.tables import markdown, notes, paper_columns, pictures_csv, table_csv


def write(comparison: Comparison, results: list[Result], machine: str, with_paper: bool) -> str:
    """Write ``table.md``, ``table.csv``, ``pictures.csv``, ``index.html``, ``crops/`` and ``scatter_*.png``.

    Args:
        comparison: what was compared.
        results: the blurry input's first.
        machine: where the costs were measured.
        with_paper: put the paper's table beside ours, for data sets whose options name it.

    Returns:
        The Markdown table.
    """
    tables = [build_table(comparison, results, name) for name in comparison.datasets]
    reported = paper_columns(comparison) if with_paper else {}
    folder = comparison.folder
    paragraphs = notes(results, machine)
    text = markdown(tables, paragraphs, reported)
    write_bytes(folder / "table.md", text.encode())
    write_bytes(folder / "table.csv", table_csv(tables).encode())
    write_bytes(folder / "pictures.csv", pictures_csv(results).encode())
    for table in tables:
        for cost, plot in scatter.plots(table):
            write_png(folder / f"scatter_{file_name(table.dataset)}_{cost.key}.png", scatter.png(plot))
    whole = Page(comparison, results, tables, paragraphs, reported)
    for exhibit in exhibits(comparison, results):
        whole.add(exhibit)
        name = f"{file_name(exhibit.dataset)}_{file_name(exhibit.picture)}.png"
        write_png(folder / "crops" / name, crop_sheet(exhibit, _captions(exhibit, results, tables)))
    write_bytes(folder / "index.html", whole.html().encode())
    return text


def _captions(exhibit: Exhibit, results: list[Result], tables: list[Table]) -> dict[str, str]:
    """The first metric of each version; the ground truth says what it is."""
    table = next(table for table in tables if table.dataset == exhibit.dataset)
    captions = {SHARP: "ground truth"}
    for result in results:
        scored = result.pictures(exhibit.dataset).get(exhibit.picture)
        if scored and scored.scores:
            column = next(column for column in table.columns if column.key in scored.scores)
            captions[result.name] = f"{column.title} {shown(scored.scores[column.key], column.digits)}"
    return captions
