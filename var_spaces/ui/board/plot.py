"""The Pareto plot of a board as SVG: one point per row, the frontier as a line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from html import escape

from leaderboard.submissions.verdict import FLAGGED
from leaderboard.table.board import Board, Column, Line
from var_spaces.ui.board.html import with_unit

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 54, 18, 16, 44
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
    across = _Axis([line.value(x) for line in lines], LEFT, WIDTH - RIGHT)
    up = _Axis([line.value(y) for line in lines], HEIGHT - BOTTOM, TOP)
    best = [line for line in lines if not line.dominated]
    name = (
        f"{y.title} against {x.title}; {len(best)} of {len(lines)} rows are on the frontier: "
        + ", ".join(line.row["label"] for line in best)
    )
    named = _Labels([(across(line.value(x)), up(line.value(y))) for line in lines], _named(y))
    points = "".join(
        _point(line, x, y, across, up, named) for line in sorted(lines, key=_grey_first)
    )
    return (
        '<figure class="vs-plot vs-pareto" tabindex="0"><figcaption><b>What quality costs</b><span>'
        f"{escape(y.title)} against {escape(x.title)}; the line joins rows that no other row "
        "beats in both</span></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name, quote=True)}">'
        f"{_frame(x, y, across, up)}{_frontier(best, x, y, across, up)}{points}</svg></figure>"
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


def _frame(x: Column, y: Column, across: _Axis, up: _Axis) -> str:
    guides = "".join(
        f'<path class="vs-guide" d="M{LEFT} {up(v):.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{up(v) + 4:.1f}" text-anchor="end">{_tick(v)}</text>'
        for v in up.ticks()
    )
    marks = "".join(
        f'<text class="vs-tick" x="{across(v):.1f}" y="{HEIGHT - 24}">{_tick(v)}</text>'
        for v in across.ticks()
    )
    return (
        f"{guides}{marks}"
        f'<text class="vs-tick" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}">'
        f"{_named(x)}</text>"
        f'<text x="{LEFT}" y="{TOP - 4}">{_named(y)}</text>'
    )


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _named(column: Column) -> str:
    unit = f", {column.unit}" if column.unit else ""
    return escape(f"{column.title}{unit} ({column.better} is better)")


def _frontier(best: Sequence[Line], x: Column, y: Column, across: _Axis, up: _Axis) -> str:
    points = sorted((line.value(x), line.value(y)) for line in best)
    path = "L".join(f"{across(a):.1f} {up(b):.1f}" for a, b in points)
    return f'<path class="vs-frontier" d="M{path}"/>' if len(points) > 1 else ""


class _Labels:
    """Places for labels that cover neither a dot nor a label before; with no room left there is
    none, and the dot alone says what it is."""

    def __init__(self, dots: Sequence[tuple[float, float]], title: str) -> None:
        self.taken = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in dots]
        self.taken.append((LEFT, TOP - LABEL, LEFT + len(title) * LETTER, TOP))

    def place(self, x: float, y: float, text: str) -> tuple[float, float, str] | None:
        """Where the label of a dot begins, on its base line, and the side of the text that is
        there ("start" is right of the dot)."""
        width = len(text) * LETTER
        for across, down in PLACES:
            top = y + down - LABEL / 2
            for side, at in (("start", x + across), ("end", x - across)):
                left = at if side == "start" else at - width
                box = (left, top, left + width, top + LABEL)
                inside = left >= LEFT and box[2] <= WIDTH and top >= 0 and box[3] <= HEIGHT - BOTTOM
                if inside and not any(_overlap(box, other) for other in self.taken):
                    self.taken.append(box)
                    return at, top + LABEL - 3, side
        return None


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _point(line: Line, x: Column, y: Column, across: _Axis, up: _Axis, named: _Labels) -> str:
    """A dot that opens its row."""
    a, b = line.value(x), line.value(y)
    px, py = across(a), up(b)
    label = line.row["label"]
    title = f"<title>{escape(label)}: {_value(y, b)}, {_value(x, a)}</title>"
    tone = "vs-grey" if line.dominated else "vs-best"
    dot = (
        f'<circle class="{tone} vs-pick" data-id="{escape(line.id, quote=True)}" '
        f'cx="{px:.1f}" cy="{py:.1f}" r="{DOT:.0f}">{title}</circle>'
    )
    if line.dominated:
        return dot
    text = label if len(label) <= 38 else f"{label[:37]}…"
    found = named.place(px, py, text)
    if found is None:
        return dot
    beside, base, side = found
    near = math.hypot(beside - px, base - 4 - py) < GAP + LABEL  # else a line leads to it
    lead = f'<path class="vs-lead" d="M{px:.1f} {py:.1f}L{beside:.1f} {base - 4:.1f}"/>'
    return (
        f'{"" if near else lead}{dot}<text class="vs-value" x="{beside:.1f}" y="{base:.1f}" '
        f'text-anchor="{side}">{escape(text)}</text>'
    )


def _value(column: Column, value: float) -> str:
    return f"{escape(column.title)} {with_unit(value, column.unit)}"
