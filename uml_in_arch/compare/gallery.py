"""The pictures that the page and the crop sheets show, and the places in them worth looking at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.compare.cache import read_png
from uml_in_arch.compare.options import BLURRY, SHARP, Comparison
from uml_in_arch.compare.results import Result

from basicsr.data import build_dataset
from basicsr.utils import tensor2img

Corner = tuple[int, int]


@dataclass(frozen=True)
class Exhibit:
    """One picture of a data set in all its versions.

    Attributes:
        dataset: its data set.
        picture: its name.
        versions: blurry input, each entry's result, ground truth if there is one: uint8 BGR (H, W, 3).
        crops: left and top of the proposed crops, in pixels.
        crop_size: their side.
    """

    dataset: str
    picture: str
    versions: dict[str, np.ndarray]
    crops: list[Corner]
    crop_size: int


def exhibits(comparison: Comparison, results: list[Result]) -> Iterator[Exhibit]:
    """Pictures evenly spread over each data set, as many as the options say."""
    blurry, *entries = results
    for name, options in comparison.datasets.items():
        dataset = build_dataset(options.section(name))
        names = list(blurry.pictures(name))
        count = min(comparison.page.pictures, len(names))
        for index in np.linspace(0, len(names) - 1, count).round().astype(int):
            item = dataset[int(index)]
            versions = {BLURRY: tensor2img(item["lq"])}
            for result in entries:
                scored = result.pictures(name).get(names[index])
                restored = read_png(scored.file) if scored and not result.error else None
                if restored is not None:
                    versions[result.name] = restored
            if "gt" in item:
                versions[SHARP] = tensor2img(item["gt"])
            size = min(comparison.page.crop_size, *versions[BLURRY].shape[:2])
            crops = find_crops(list(versions.values()), size, comparison.page.crops)
            yield Exhibit(name, names[index], versions, crops, size)


def find_crops(pictures: list[np.ndarray], size: int, count: int) -> list[Corner]:
    """Left and top of the squares in which the pictures differ most; they do not overlap.

    Args:
        pictures: of the same shape, (H, W, 3).
        size: side of the squares, at most H and W.
        count: of squares; fewer if no more fit.
    """
    stack = np.stack([cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in pictures]).astype(np.float32)
    spread = stack.max(axis=0) - stack.min(axis=0)
    sums = cv2.integral(spread)
    score = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    corners: list[Corner] = []
    while len(corners) < count and score.max() >= 0:
        top, left = np.unravel_index(int(score.argmax()), score.shape)
        corners.append((int(left), int(top)))
        score[max(0, top - size + 1) : top + size, max(0, left - size + 1) : left + size] = -1
    return corners


def crop_sheet(exhibit: Exhibit, captions: dict[str, str], zoom: int = 2) -> np.ndarray:
    """The crops of all versions as one uint8 BGR picture: a column per version, a row per crop.

    Args:
        exhibit: what to show.
        captions: a second line under a version's name, its score.
        zoom: pixels are repeated as often.
    """
    side, gap, head = exhibit.crop_size * zoom, 8, 44
    rows, columns = len(exhibit.crops), len(exhibit.versions)
    sheet = np.full((head + rows * (side + gap), gap + columns * (side + gap), 3), 255, np.uint8)
    for column, (name, picture) in enumerate(exhibit.versions.items()):
        left = gap + column * (side + gap)
        _write(sheet, name, left, 17, side)
        _write(sheet, captions.get(name, ""), left, 35, side)
        for row, (x, y) in enumerate(exhibit.crops):
            top = head + row * (side + gap)
            crop = picture[y : y + exhibit.crop_size, x : x + exhibit.crop_size]
            sheet[top : top + side, left : left + side] = crop.repeat(zoom, 0).repeat(zoom, 1)
    return sheet


def _write(sheet: np.ndarray, text: str, x: int, y: int, room: int) -> None:
    """Text in at most ``room`` pixels: smaller if it is long."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    width = cv2.getTextSize(text, font, size, 1)[0][0]
    cv2.putText(sheet, text, (x, y), font, size * min(1, room / max(width, 1)), (30, 30, 30), 1, cv2.LINE_AA)
