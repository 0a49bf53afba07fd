"""What a run costs, as HTML: cache and time per scale drawn as SVG, and all numbers as a table.

Pure functions of a :class:`RunView`; the drawings take their colours from the theme.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from var_spaces.schedule import ScaleSchedule
from var_spaces.ui.glossary import term
from var_spaces.ui.run.view import RunView
from var_spaces.ui.words import bytes_text, seconds_text

WIDTH, HEIGHT = 380, 190
LEFT, RIGHT, TOP, BOTTOM = 2, 2, 24, 22
HEADS = (
    term("scale", "Scale"),
    term("token", "Tokens"),
    "Time",
    term("cache", "Cache held"),
    "Full cache",
    term("entropy", "Entropy"),
)


def parts(view: RunView) -> dict[str, str]:
    """Both drawings, the kept tokens and the table, for parts of :data:`LAYOUT`; before the first
    scale the drawings have axes only."""
    if view.schedule is None:
        return {}
    return {
        "cache": _cache_plot(view),
        "time": _time_plot(view),
        "kept": _kept(view),
        "numbers": _table(view),
    }


LAYOUT = """<div class="vs-plots"><div data-part="cache"></div>
<div data-part="time"></div></div><div data-part="kept"></div>
<div data-part="numbers"></div>"""


def full_cache(view: RunView, schedule: ScaleSchedule) -> list[float]:
    """Bytes after every scale if the cache kept every token; scales to come are worked out.

    Beside what is pinned, it grows in step with the tokens drawn so far, which the first scale
    fixes.
    """
    known = [scale.kv_full_bytes for scale in view.scales]
    if not known:
        return []
    pinned = view.scales[-1].kv_pinned_bytes
    per_token = (known[-1] - pinned) / schedule.offsets[len(known)]
    return known + [pinned + per_token * end for end in schedule.offsets[len(known) + 1 :]]


def _cache_plot(view: RunView) -> str:
    schedule = view.schedule
    held = [float(scale.kv_bytes) for scale in view.scales]
    full = full_cache(view, schedule)
    top = max([*held, *full, 1.0])
    plot = Plot(schedule, top)
    last = bytes_text(held[-1]) if held else "nothing yet"
    name = f"Bytes that the key-value cache holds after each scale; now {last}"
    if full:
        name += f", a cache of every token ends at {bytes_text(full[-1])}"
    legend = '<i class="vs-key-held"></i>held <i class="vs-key-full"></i>if every token were kept'
    if pinned := view.scales[-1].kv_pinned_bytes if held else 0:
        legend += f"<br><span>{bytes_text(pinned)} of both is the picture that was given</span>"
    if held and not any(held):
        legend = f"no cache: a scale sees itself alone · {legend}"
    drawing = plot.bars(held, "vs-held") + plot.steps(full) + plot.value(held, bytes_text)
    return figure(term("cache", "Cache held (KV cache)"), legend, name, plot.frame() + drawing)


def _kept(view: RunView) -> str:
    if not view.kept:
        return ""
    legend = "that the last scale looked back on, brighter where more layers and heads held them"
    sizes = zip(view.kept, view.schedule.sizes, strict=False)
    maps = "".join(
        f'<span><img src="{uri}" alt="Tokens of the {h}×{w} map that were kept">{h}×{w}</span>'
        for uri, (h, w) in sizes
    )
    title = term("kept", "Tokens kept")
    return (
        f'<figure class="vs-plot vs-kept"><figcaption><b>{title}</b><span>{legend}</span>'
        f"</figcaption><div>{maps}</div></figure>"
    )


def _time_plot(view: RunView) -> str:
    seconds = [scale.seconds for scale in view.scales]
    plot = Plot(view.schedule, max([*seconds, 1e-9]))
    total = seconds_text(sum(seconds)) if seconds else "nothing yet"
    name = f"Seconds of each scale; together {total}"
    drawing = plot.frame() + plot.bars(seconds, "vs-time") + plot.value(seconds, seconds_text)
    return figure("Time per scale", "model and cache, without previews", name, drawing)


def figure(title: str, legend: str, name: str, drawing: str) -> str:
    """A plot with its title and legend, which are HTML; ``name`` says it in words."""
    return (
        f'<figure class="vs-plot"><figcaption><b>{title}</b><span>{legend}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{drawing}</svg>'
        "</figure>"
    )


class Plot:
    """One band per scale from left to right; values from 0 to ``top`` upwards."""

    def __init__(self, schedule: ScaleSchedule, top: float) -> None:
        self.sizes, self.top = schedule.sizes, top
        self.band = (WIDTH - LEFT - RIGHT) / schedule.num_scales

    def x(self, scale: float) -> float:
        return LEFT + self.band * scale

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / self.top

    def frame(self) -> str:
        """Base line, two guides, and the size of every token map that has room."""
        every = -(-len(self.sizes) // 10)
        labels = "".join(
            f'<text class="vs-tick" x="{self.x(k + 0.5):.1f}" y="{HEIGHT - 6}">{h}×{w}</text>'
            for k, (h, w) in enumerate(self.sizes)
            if k % every == 0
        )
        guides = "".join(
            f'<path class="vs-guide" d="M{LEFT} {self.y(self.top * part):.1f}H{WIDTH - RIGHT}"/>'
            for part in (0, 0.5, 1)
        )
        return guides + labels

    def bars(self, values: Sequence[float], tone: str) -> str:
        gap = min(self.band * 0.16, 8)
        return "".join(
            f'<rect class="{tone}" x="{self.x(k) + gap:.1f}" y="{self.y(value):.1f}" '
            f'width="{self.band - 2 * gap:.1f}" height="{self.y(0) - self.y(value):.1f}" rx="2"/>'
            for k, value in enumerate(values)
        )

    def steps(self, values: Sequence[float]) -> str:
        if not values:
            return ""
        path = "".join(
            f"{'M' if k == 0 else 'L'}{self.x(k):.1f} {self.y(v):.1f}H{self.x(k + 1):.1f}"
            for k, v in enumerate(values)
        )
        return f'<path class="vs-full" d="{path}"/>'

    def line(self, values: Sequence[float], tone: str) -> str:
        """A line through the middles of the bands, with a dot per scale."""
        points = [(self.x(k + 0.5), self.y(value)) for k, value in enumerate(values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points)
        return f'<g class="{tone}"><polyline points="{path}"/>{dots}</g>'

    def value(self, values: Sequence[float], text: Callable[[float], str]) -> str:
        """The newest value over its bar."""
        if not values:
            return ""
        k = len(values) - 1
        anchor = "end" if k == len(self.sizes) - 1 else "middle"
        x = self.x(k + 1) if anchor == "end" else self.x(k + 0.5)
        y = self.y(values[-1]) - 7
        return (
            f'<text class="vs-value" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{text(values[-1])}</text>"
        )


def _table(view: RunView) -> str:
    if not view.scales:
        return ""
    rows = "".join(
        "<tr>"
        f'<th scope="row">{k + 1} · {s.size[0]}×{s.size[1]}</th><td>{s.tokens:,}</td>'
        f"<td>{seconds_text(s.seconds)}</td><td>{bytes_text(s.kv_bytes)}</td>"
        f"<td>{bytes_text(s.kv_full_bytes)}</td><td>{s.entropy:.2f} nats</td></tr>"
        for k, s in enumerate(view.scales)
    )
    total = (
        f'<tr><th scope="row">All</th><td>{view.tokens:,}</td>'
        f"<td>{seconds_text(view.seconds)}</td><td>{bytes_text(view.peak_kv_bytes)}</td>"
        f"<td>{bytes_text(view.scales[-1].kv_full_bytes)}</td><td></td></tr>"
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    return (
        '<div class="vs-scroll" tabindex="0" role="region" aria-label="Numbers per scale">'
        f'<table class="vs-table"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>'
        f"<tfoot>{total}</tfoot></table></div>"
    )
