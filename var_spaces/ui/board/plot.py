"""The Pareto plot of a board as SVG: one point per row, the frontier as a line.

It is drawn twice, and style sheets show one: on small screens, where names of rows would leave no
room for the points, those of the frontier have the numbers that they have in the table.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

from leaderboard.submissions.verdict import FLAGGED
from leaderboard.table.board import Board, Column, Line
from var_spaces.ui.board.html import with_unit

WIDTH, HEIGHT = 760, 340
NARROW = 330  # width on a small screen
LEFT, RIGHT, TOP, BOTTOM = 54, 18, 16, 44
EDGE = 4  # where names of axes may begin
LABEL, LETTER = 14.0, 6.0  # height of a label and width of its letters, about
DOT, GAP = 5.0, 9.0  # radius of a dot, and from its middle to its label
# where a label may stand from its dot, the nearest first: across, on either side, and down
PLACES = sorted(
    itertools.product((GAP, 40.0, 80.0, 120.0, 160.0), [LABEL * n / 2 for n in range(-9, 10)]),
    key=lambda place: math.hypot(place[0] - GAP, 2 * place[1]),
)
MARGIN = 0.06  # of the range, on both sides


def pareto(board: Board) -> str:
    """Quality against cost; nothing for fewer than two points."""
    x, y = board.x, board.y
    if x is None or y is None:
        return ""
    lines = [
        line
        for line in board.lines
        if line.verdict != FLAGGED and None not in (line.value(x), line.value(y))
    ]
    if len(lines) < 2:
        return ""
    best = [line for line in lines if not line.dominated]
    return (
        '<figure class="vs-plot vs-pareto"><figcaption><b>What quality costs</b><span>'
        f"{escape(y.title)} against {escape(x.title)}; the line joins rows that no other row "
        'beats in both</span> <span class="vs-narrow">Numbers are those of the table</span>'
        f"</figcaption>{_Drawing(x, y, lines, best, WIDTH).svg('wide')}"
        f"{_Drawing(x, y, lines, best, NARROW).svg('narrow')}</figure>"
    )


def _grey_first(line: Line) -> bool:
    return not line.dominated


class _Axis:
    """A range of values and where they lie on the drawing."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        pad = (high - low or abs(high) or 1.0) * MARGIN
        self.low, self.high, self.start, self.end = low - pad, high + pad, start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * share

    def ticks(self, count: int = 5) -> list[float]:
        """About ``count`` round numbers inside the range."""
        rough = (self.high - self.low) / count
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [step * number for number in range(first, last + 1)]


@dataclass(frozen=True)
class _Drawing:
    """The plot at one width.

    Attributes:
        x, y: what is across and up.
        lines: rows that have both.
        best: those on the frontier.
    """

    x: Column
    y: Column
    lines: Sequence[Line]
    best: Sequence[Line]
    width: int

    def svg(self, kind: str) -> str:
        name = (
            f"{self.y.title} against {self.x.title}; {len(self.best)} of {len(self.lines)} rows "
            f"are on the frontier: {', '.join(line.row['label'] for line in self.best)}"
        )
        named = _Labels([self._at(line) for line in self.lines], _named(self.y), self.width)
        points = "".join(self._point(line, named) for line in sorted(self.lines, key=_grey_first))
        return (
            f'<svg class="vs-{kind}" viewBox="0 0 {self.width} {HEIGHT}" role="img" '
            f'aria-label="{escape(name, quote=True)}">{self._frame()}{self._frontier()}{points}'
            "</svg>"
        )

    @cached_property
    def _across(self) -> _Axis:
        return _Axis([line.value(self.x) for line in self.lines], LEFT, self.width - RIGHT)

    @cached_property
    def _up(self) -> _Axis:
        return _Axis([line.value(self.y) for line in self.lines], HEIGHT - BOTTOM, TOP)

    def _at(self, line: Line) -> tuple[float, float]:
        return self._across(line.value(self.x)), self._up(line.value(self.y))

    def _frame(self) -> str:
        end = self.width - RIGHT
        guides = "".join(
            f'<path class="vs-guide" d="M{LEFT} {self._up(v):.1f}H{end}"/>'
            f'<text x="{LEFT - 6}" y="{self._up(v) + 4:.1f}" text-anchor="end">{_tick(v)}</text>'
            for v in self._up.ticks()
        )
        marks = "".join(
            f'<text class="vs-tick" x="{self._across(v):.1f}" y="{HEIGHT - 24}">{_tick(v)}</text>'
            for v in self._across.ticks()
        )
        return (
            f'{guides}{marks}<text class="vs-tick" x="{self.width / 2:.0f}" y="{HEIGHT - 6}">'
            f'{_named(self.x)}</text><text x="{EDGE}" y="{TOP - 4}">{_named(self.y)}</text>'
        )

    def _frontier(self) -> str:
        points = sorted((line.value(self.x), line.value(self.y)) for line in self.best)
        path = "L".join(f"{self._across(a):.1f} {self._up(b):.1f}" for a, b in points)
        return f'<path class="vs-frontier" d="M{path}"/>' if len(points) > 1 else ""

    def _point(self, line: Line, named: _Labels) -> str:
        """A dot that opens its row."""
        px, py = self._at(line)
        values = f"{_value(self.y, line.value(self.y))}, {_value(self.x, line.value(self.x))}"
        title = f"<title>{escape(line.row['label'])}: {values}</title>"
        tone = "vs-grey" if line.dominated else "vs-best"
        dot = (
            f'<circle class="{tone} vs-pick" data-id="{escape(line.id, quote=True)}" '
            f'cx="{px:.1f}" cy="{py:.1f}" r="{DOT:.0f}">{title}</circle>'
        )
        text = "" if line.dominated else self._label(line)
        found = named.place(px, py, text) if text else None
        if found is None:
            return dot
        beside, base, side = found
        near = math.hypot(beside - px, base - 4 - py) < GAP + LABEL  # else a line leads to it
        lead = f'<path class="vs-lead" d="M{px:.1f} {py:.1f}L{beside:.1f} {base - 4:.1f}"/>'
        return (
            f'{"" if near else lead}{dot}<text class="vs-value" x="{beside:.1f}" y="{base:.1f}" '
            f'text-anchor="{side}">{escape(text)}</text>'
        )

    def _label(self, line: Line) -> str:
        if self.width < WIDTH:
            return str(line.rank or "")
        label = line.row["label"]
        return label if len(label) <= 38 else f"{label[:37]}…"


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _named(column: Column) -> str:
    unit = f", {column.unit}" if column.unit else ""
    return escape(f"{column.title}{unit} ({column.better} is better)")


class _Labels:
    """Places for labels that cover neither a dot nor a label before; with no room left there is
    none, and the dot alone says what it is."""

    def __init__(self, dots: Sequence[tuple[float, float]], title: str, width: int) -> None:
        self.width = width
        self.taken = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in dots]
        self.taken.append((EDGE, TOP - LABEL, EDGE + len(title) * LETTER, TOP))

    def place(self, x: float, y: float, text: str) -> tuple[float, float, str] | None:
        """Where the label of a dot begins, on its base line, and the side of the text that is
        there ("start" is right of the dot)."""
        width = len(text) * LETTER
        for across, down in PLACES:
            top = y + down - LABEL / 2
            for side, at in (("start", x + across), ("end", x - across)):
                left = at if side == "start" else at - width
                box = (left, top, left + width, top + LABEL)
                inside = left >= LEFT and box[2] <= self.width and top >= 0
                inside = inside and box[3] <= HEIGHT - BOTTOM
                if inside and not any(_overlap(box, other) for other in self.taken):
                    self.taken.append(box)
                    return at, top + LABEL - 3, side
        return None


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _value(column: Column, value: float) -> str:
    return f"{escape(column.title)} {with_unit(value, column.unit)}"
