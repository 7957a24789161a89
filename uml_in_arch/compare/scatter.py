"""The plot of quality against cost: laid out once, drawn as SVG for the page and as PNG with OpenCV."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from uml_in_arch.compare.results import Column, Table

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 20, 52
RADIUS = 5
COSTS = ("gmacs", "latency", "parameters")
_TEXT = 13
_LETTER = 7.2  # mean width of a letter of that size
_COLOURS = ("#2563eb", "#d9480f", "#0f9d58", "#9333ea", "#c2255c", "#0891b2", "#a16207", "#4f46e5")

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Dot:
    """An entry: its place in pixels, and its label's left end and baseline."""

    entry: str
    x: float
    y: float
    label_x: float
    label_y: float
    colour: str


@dataclass(frozen=True)
class Plot:
    """Everything that is drawn, in pixels of a `WIDTH` by `HEIGHT` picture."""

    x_title: str
    y_title: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    dots: list[Dot]
    reference: tuple[float, float, str] | None


def plots(table: Table) -> list[tuple[Column, Plot]]:
    """PSNR, up to a shift or not, against each of `COSTS` that is known; nothing where there is no PSNR."""
    columns = {column.key: column for column in table.columns}
    quality = next((column for key, column in columns.items() if "psnr" in key.lower()), None)
    if quality is None:
        return []
    laid_out = [(columns[cost], layout(table, quality, columns[cost])) for cost in COSTS]
    return [(cost, plot) for cost, plot in laid_out if plot]


def layout(table: Table, quality: Column, cost: Column) -> Plot | None:
    """Place the entries that have both numbers; None if there is none.

    The first row, the blurry input, costs nothing and becomes a line.
    """
    points = {
        row.entry: (row.values[cost.key], row.values[quality.key])
        for row in table.rows[1:]
        if row.values.get(cost.key, 0) > 0 and math.isfinite(row.values.get(quality.key, math.inf))
    }
    if not points:
        return None
    base = table.rows[0].values.get(quality.key, math.inf)
    heights = [y for _, y in points.values()] + ([base] if math.isfinite(base) else [])
    x_low, x_high = _log_range([x for x, _ in points.values()])
    y_low, y_high, step = _linear_range(heights)

    def to_x(value: float) -> float:
        return LEFT + (math.log10(value) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def to_y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    places = {entry: (to_x(x), to_y(y)) for entry, (x, y) in points.items()}
    reference = _reference(to_y(base), table.rows[0].entry, places) if math.isfinite(base) else None
    digits = max(0, math.ceil(-math.log10(step) - 1e-9))
    return Plot(
        f"{cost.title}, logarithmic",
        f"{quality.title} ({quality.better} is better)",
        [(to_x(value), _short(value)) for value in _log_ticks(x_low, x_high)],
        [(to_y(y_low + i * step), f"{y_low + i * step:.{digits}f}") for i in range(round((y_high - y_low) / step) + 1)],
        _dots(places, reference),
        reference,
    )


def svg(plot: Plot, title: str) -> str:
    """The plot as an SVG element that takes the page's text colour."""
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" font-size="{_TEXT}" '
        'fill="currentColor" xmlns="http://www.w3.org/2000/svg">'
    ]
    for y, text in plot.y_ticks:
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "0.15"))
        parts.append(_label(LEFT - 8, y + 4, text, "end"))
    for x, text in plot.x_ticks:
        parts.append(_line(x, TOP, x, HEIGHT - BOTTOM, "0.15"))
        parts.append(_label(x, HEIGHT - BOTTOM + 18, text, "middle"))
    parts.append(_label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, plot.x_title, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<g transform="translate(16 {middle:.1f}) rotate(-90)">{_label(0, 0, plot.y_title, "middle")}</g>')
    if plot.reference:
        x, y, text = plot.reference
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "0.6", ' stroke-dasharray="6 4"'))
        parts.append(_label(x, y - 6, text, "start"))
    for dot in plot.dots:
        parts.append(f'<circle cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="{RADIUS}" fill="{dot.colour}"/>')
        parts.append(_label(dot.label_x, dot.label_y, dot.entry, "start"))
    return "".join([*parts, "</svg>"])


def png(plot: Plot) -> np.ndarray:
    """The plot as an uint8 BGR picture on white, twice as large as the SVG's units."""
    canvas = _Canvas(4)
    grey, black = (225, 225, 225), (30, 30, 30)
    for y, text in plot.y_ticks:
        canvas.line((LEFT, y), (WIDTH - RIGHT, y), grey)
        canvas.text(text, LEFT - 8, y + 4, "end", black)
    for x, text in plot.x_ticks:
        canvas.line((x, TOP), (x, HEIGHT - BOTTOM), grey)
        canvas.text(text, x, HEIGHT - BOTTOM + 18, "middle", black)
    canvas.text(plot.x_title, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "middle", black)
    canvas.vertical_text(plot.y_title, 8, (TOP + HEIGHT - BOTTOM) / 2, black)
    if plot.reference:
        x, y, text = plot.reference
        for start in range(LEFT, WIDTH - RIGHT, 10):
            canvas.line((start, y), (min(start + 6, WIDTH - RIGHT), y), (120, 120, 120))
        canvas.text(text, x, y - 6, "start", black)
    for dot in plot.dots:
        canvas.circle((dot.x, dot.y), dot.colour)
        canvas.text(dot.entry, dot.label_x, dot.label_y, "start", black)
    return cv2.resize(canvas.picture, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_AREA)


class _Canvas:
    """Draws in the plot's units, ``scale`` times larger."""

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.picture = np.full((HEIGHT * scale, WIDTH * scale, 3), 255, np.uint8)

    def _point(self, x: float, y: float) -> tuple[int, int]:
        return round(x * self.scale), round(y * self.scale)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: tuple[int, int, int]) -> None:
        cv2.line(self.picture, self._point(*start), self._point(*end), colour, self.scale, cv2.LINE_AA)

    def circle(self, centre: tuple[float, float], colour: str) -> None:
        bgr = tuple(int(colour[i : i + 2], 16) for i in (5, 3, 1))
        cv2.circle(self.picture, self._point(*centre), RADIUS * self.scale, bgr, -1, cv2.LINE_AA)

    def text(self, text: str, x: float, y: float, anchor: str, colour: tuple[int, int, int]) -> None:
        size, width = self._font(text)
        start = x - {"start": 0, "middle": width / 2, "end": width}[anchor] / self.scale
        font = cv2.FONT_HERSHEY_SIMPLEX
        for shade, thickness in (((255, 255, 255), 2 * self.scale), (colour, self.scale // 2)):
            cv2.putText(self.picture, text, self._point(start, y), font, size, shade, thickness, cv2.LINE_AA)

    def vertical_text(self, text: str, x: float, middle: float, colour: tuple[int, int, int]) -> None:
        length = _Canvas(self.scale)
        length.text(text, WIDTH / 2, 14, "middle", colour)
        strip = np.rot90(length.picture[: 20 * self.scale])
        top = round(middle * self.scale - strip.shape[0] / 2)
        first, last = max(0, -top), min(strip.shape[0], self.picture.shape[0] - top)
        left = round(x * self.scale) - 4 * self.scale
        part = strip[first:last]
        self.picture[top + first : top + last, left : left + part.shape[1]] = part

    def _font(self, text: str) -> tuple[float, int]:
        size = 0.42 * self.scale
        return size, cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, self.scale // 2)[0][0]


def _reference(y: float, name: str, places: dict[str, tuple[float, float]]) -> tuple[float, float, str]:
    """Left end of the reference line's name and its height: at the end that is farther from the dots."""
    left, right = LEFT + 6, WIDTH - RIGHT - 6 - _LETTER * len(name)
    near = [x for x, dot_y in places.values() if abs(dot_y - y) < 40]
    start = max((right, left), key=lambda x: min((abs(dot_x - x) for dot_x in near), default=0))
    return start, y, name


def _dots(places: dict[str, tuple[float, float]], reference: tuple[float, float, str] | None) -> list[Dot]:
    """Put each label where it covers no dot and no other label, if there is such a place beside its dot."""
    taken: list[Box] = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in places.values()]
    if reference:
        x, y, name = reference
        taken += [(x, y - 17, x + _LETTER * len(name), y - 2), (LEFT, y - 1, WIDTH - RIGHT, y + 1)]
    dots = []
    for number, (entry, (x, y)) in enumerate(places.items()):
        width = _LETTER * len(entry)
        offsets = [(9, 4), (-9 - width, 4), (-width / 2, -10), (-width / 2, 20), (9, 18), (9, -10), (-9 - width, 18)]
        boxes = [(x + dx, y + dy - 11, x + dx + width, y + dy + 4) for dx, dy in offsets]
        best = min(boxes, key=lambda box: _cost(box, taken))
        taken.append(best)
        dots.append(Dot(entry, x, y, best[0], best[3] - 4, _COLOURS[number % len(_COLOURS)]))
    return dots


def _cost(box: Box, taken: list[Box]) -> float:
    outside = max(0, LEFT - box[0]) + max(0, box[2] - WIDTH) + max(0, TOP - box[1]) + max(0, box[3] - HEIGHT + BOTTOM)
    return 100 * outside + sum(_overlap(box, other) for other in taken)


def _overlap(a: Box, b: Box) -> float:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def _log_range(values: list[float]) -> tuple[float, float]:
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.12 * (high - low), 0.2)
    return low - margin, high + margin


def _log_ticks(low: float, high: float) -> list[float]:
    wide = high - low > 3
    decades = range(math.floor(low), math.ceil(high) + 1)
    values = [digit * 10.0**decade for decade in decades for digit in ((1,) if wide else (1, 2, 5))]
    return [value for value in values if low <= math.log10(value) <= high]


def _linear_range(values: list[float]) -> tuple[float, float, float]:
    """Ends and step of an axis with round numbers."""
    low, high = min(values), max(values)
    spread = max(high - low, abs(high) * 1e-3, 1e-6)
    rough = spread / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return math.floor(low / step - 0.3) * step, math.ceil(high / step + 0.3) * step, step


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _line(x1: float, y1: float, x2: float, y2: float, opacity: str, more: str = "") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" '
        f'stroke-opacity="{opacity}"{more}/>'
    )


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
