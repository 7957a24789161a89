"""``index.html``: one file that needs nothing else, made from the template beside this module."""

from __future__ import annotations

import base64
import json
import math
import re
from html import escape
from importlib.resources import files
from typing import Any

import cv2
import numpy as np

from uml_in_arch.compare import paper, scatter
from uml_in_arch.compare.gallery import Exhibit
from uml_in_arch.compare.options import BLURRY, Comparison
from uml_in_arch.compare.results import Result, Row, Table
from uml_in_arch.compare.tables import counted


class Page:
    """A page in the making; pictures are added one by one, so that they need not all be in memory.

    Args:
        comparison: what was compared.
        results: the blurry input's first.
        tables: one per data set.
        notes: paragraphs at the end.
        with_paper: data set to the paper's data set whose column stands beside it.
    """

    def __init__(
        self,
        comparison: Comparison,
        results: list[Result],
        tables: list[Table],
        notes: list[str],
        with_paper: dict[str, str],
    ) -> None:
        self.name = comparison.name
        self.quality = comparison.page.jpeg_quality
        self.datasets = {table.dataset: _dataset(table, results, with_paper.get(table.dataset)) for table in tables}
        self.notes = [
            *notes,
            f"The pictures in this page are JPEG, quality {self.quality}, full colour resolution; all scores and the "
            "crop sheets come from the lossless files.",
        ]

    def add(self, exhibit: Exhibit) -> None:
        """Let a picture be looked at."""
        height, width = exhibit.versions[BLURRY].shape[:2]
        self.datasets[exhibit.dataset]["exhibits"].append(
            {
                "picture": exhibit.picture,
                "height": height,
                "width": width,
                "versions": [[name, _data_uri(image, self.quality)] for name, image in exhibit.versions.items()],
                "crops": exhibit.crops,
                "cropSize": exhibit.crop_size,
            }
        )

    def html(self) -> str:
        """The whole page. Names go into it as JSON and are shown as text, never as markup."""
        data = json.dumps(
            {"notes": self.notes, "datasets": list(self.datasets.values())}, allow_nan=False, separators=(",", ":")
        )
        template = files(__package__) / "template"
        parts = {
            "title": escape(self.name),
            "style": (template / "page.css").read_text(encoding="utf-8"),
            "script": (template / "page.js").read_text(encoding="utf-8"),
            "data": data.replace("<", "\\u003c"),  # or else a name could end the script element
        }
        text = (template / "page.html").read_text(encoding="utf-8")
        return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], text)


def _dataset(table: Table, results: list[Result], reported: str | None) -> dict[str, Any]:
    measured = {
        name for result in results for scored in result.pictures(table.dataset).values() for name in scored.scores
    }
    metrics = [column.key for column in table.columns if column.key in measured]
    return {
        "name": table.dataset,
        "pictures": counted(table.pictures),
        "columns": [
            {"key": column.key, "title": column.title, "better": column.better, "digits": column.digits}
            for column in table.columns
        ],
        "metrics": metrics,
        "rows": [_row(table, row) for row in table.rows],
        "scores": _picture_scores(results, table.dataset, metrics),
        "plots": [
            {"title": cost.title, "svg": scatter.svg(plot, f"Quality against {cost.title} on {table.dataset}")}
            for cost, plot in scatter.plots(table)
        ],
        "exhibits": [],
        "paper": reported and {"dataset": reported, "whose": paper.WHOSE, "rows": _paper_rows(reported)},
    }


def _row(table: Table, row: Row) -> dict[str, Any]:
    return {
        "entry": row.entry,
        "arch": row.arch,
        "remark": row.remark,
        "failed": row.failed,
        "cells": [[_number(row.values.get(column.key)), table.text(row, column)] for column in table.columns],
    }


def _picture_scores(results: list[Result], dataset: str, metrics: list[str]) -> list[dict[str, Any]]:
    """Per picture: entry to scores in the order of ``metrics``."""
    by_entry = {result.name: result.pictures(dataset) for result in results if not result.error}
    return [
        {
            "picture": picture,
            "entries": {
                entry: [_number(scored[picture].scores.get(metric)) for metric in metrics]
                for entry, scored in by_entry.items()
                if picture in scored
            },
        }
        for picture in results[0].pictures(dataset)
    ]


def _number(value: float | None) -> float | None:
    """JSON has no infinity; a PSNR of equal pictures is sorted and shown as a very large one."""
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else math.copysign(1e9, value)


def _paper_rows(data_set: str) -> list[list[str]]:
    return [
        [method, f"{scores.psnr:.2f}", f"{scores.ssim:.3f}", f"{scores.mse:.3f}"]
        for method, scores in paper.reported(data_set).items()
    ]


def _data_uri(image: np.ndarray, quality: int) -> str:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return "data:image/jpeg;base64," + base64.b64encode(cv2.imencode(".jpg", image, options)[1]).decode()
