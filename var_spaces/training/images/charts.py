"""Small line and bar charts with Pillow alone: a training machine has no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

COLOURS = ("#3b6fd4", "#d4553b", "#2f9e63", "#8a4fc7", "#c79a1e", "#2aa5b5", "#d43b8f", "#666666")
COLOURS += ("#143a8a", "#7a1f10", "#0f5a34", "#b58bdd", "#e8842a")
INK, FAINT = "#222222", "#dddddd"
WIDTH, HEIGHT = 640, 320
LEFT, TOP, RIGHT, BOTTOM = 64, 34, 16, 44

Point = tuple[float, float]


class Panel:
    """One chart of 640 x 320 pixels; data coordinates run over ``x`` and ``y`` ranges.

    Args:
        names: of lines, in the order of :data:`COLOURS`; they stand to the right of the frame.
    """

    def __init__(
        self,
        title: str,
        labels: tuple[str, str],
        x: Point,
        y: Point,
        names: Sequence[str] = (),
    ) -> None:
        font = ImageFont.load_default(12)
        self.right = RIGHT + round(max((font.getlength(name) + 8 for name in names), default=0))
        self.image = Image.new("RGB", (WIDTH, HEIGHT), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.x, self.y = (widened(x), widened(y))
        self.text((WIDTH - 8, 8), title, 15, "rt")
        self.text((WIDTH / 2, HEIGHT - 6), labels[0], 12, "mb")
        self.text((4, 12), labels[1], 12, "lt")
        for value in ticks(*self.y):
            left, right = self.place(self.x[0], value), self.place(self.x[1], value)
            self.draw.line([left, right], FAINT)
            self.text((LEFT - 6, left[1]), f"{value:.4g}", 11, "rm")
        for value in ticks(*self.x):
            self.text((self.place(value, 0)[0], HEIGHT - BOTTOM + 6), f"{value:.6g}", 11, "mt")
        for index, name in enumerate(names):
            at = (WIDTH - self.right + 12, TOP + 16 * index)
            self.text(at, name, 12, "lt", COLOURS[index % len(COLOURS)])

    def place(self, x: float, y: float) -> Point:
        """Pixel of a data point, kept inside the frame."""
        across = min(max((x - self.x[0]) / (self.x[1] - self.x[0]), 0), 1)
        up = min(max((y - self.y[0]) / (self.y[1] - self.y[0]), 0), 1)
        inner = WIDTH - LEFT - self.right, HEIGHT - TOP - BOTTOM
        return LEFT + across * inner[0], HEIGHT - BOTTOM - up * inner[1]

    def text(self, at: Point, text: str, size: int, anchor: str, colour: str = INK) -> None:
        self.draw.text(at, text, colour, ImageFont.load_default(size), anchor)


def line_chart(
    title: str,
    labels: tuple[str, str],
    series: Mapping[str, Sequence[Point]],
    y: Point | None = None,
) -> Image.Image:
    """Lines with their names; ``labels`` are those of the x and y axes, ``y`` the range shown."""
    points = [point for line in series.values() for point in line] or [(0.0, 0.0)]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    panel = Panel(title, labels, (min(xs), max(xs)), y or (min(ys), max(ys)), [*series])
    for index, line in enumerate(series.values()):
        colour = COLOURS[index % len(COLOURS)]
        pixels = [panel.place(*point) for point in line]
        if len(pixels) > 1:
            panel.draw.line(pixels, colour, 2)
        for px, py in pixels if len(pixels) < 30 else ():
            panel.draw.ellipse([px - 3, py - 3, px + 3, py + 3], colour)
    return panel.image


def area_chart(title: str, labels: tuple[str, str], values: Sequence[float]) -> Image.Image:
    """A filled curve over positions 0, 1, ...: one column of pixels shows its largest value."""
    panel = Panel(title, labels, (0, len(values)), (0, max(values, default=0)))
    columns: dict[int, float] = {}
    for index, value in enumerate(values):
        column = round(panel.place(index, 0)[0])
        columns[column] = max(columns.get(column, 0), value)
    held = 0.0
    for column in range(min(columns, default=0), max(columns, default=-1) + 1):
        held = columns.get(column, held)
        bottom, top = panel.place(0, 0)[1], panel.place(0, held)[1]
        panel.draw.line([(column, bottom), (column, top)], COLOURS[0])
    return panel.image


def stacked(images: Sequence[Image.Image]) -> Image.Image:
    """Charts one below the other."""
    sheet = Image.new("RGB", (WIDTH, sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        sheet.paste(image, (0, top))
        top += image.height
    return sheet


def widened(ends: Point) -> Point:
    """A range that is not empty."""
    low, high = ends
    return (low, high) if high > low else (low, low + 1)


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round values within a range."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]
