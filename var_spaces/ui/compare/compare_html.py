"""A comparison as HTML: columns, pairs of them, and what they cost. Pure functions of a board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from var_spaces import methods
from var_spaces.compare.difference import Difference
from var_spaces.compare.interleave import LETTERS
from var_spaces.evaluators.similarity import LIMIT
from var_spaces.spec import RunSpec
from var_spaces.ui.compare.comparing import Board, Pair
from var_spaces.ui.form.values import KINDS
from var_spaces.ui.run import stage
from var_spaces.ui.run.cost import Plot, figure
from var_spaces.ui.run.slider import slider
from var_spaces.ui.run.view import RunView
from var_spaces.ui.words import bytes_text, plural, seconds_text
from var_spaces.validation import freeze
from var_spaces.zoo.cards import get_card

SHOWN = 320  # pixels of a slider and a heat map
HEADS = ("Column", "Time", "Cache at most", "Share of full", "Time against A", "Cache against A")
SCALE_HEADS = ("Scale", "Equal tokens", "PSNR", "SSIM")


def status(board: Board) -> str:
    """One line that says where the comparison is, with a bar over the tokens of all columns."""
    return line(board, _words(board))


def line(board: Board, words: str) -> str:
    """A line with that bar; ``words`` are HTML."""
    drawn = sum(view.tokens for view in board.views)
    total = sum(view.schedule.total for view in board.views if view.schedule)
    return stage.line(
        board.phase, words, 1.0 if board.phase == "done" else drawn / total if total else 0.0
    )


def _words(board: Board) -> str:
    count = plural(len(board.views), "column")
    match board.phase:
        case "loading" | "running":
            return _working(board.views[board.now], LETTERS[board.now])
        case "done":
            return f"<b>Done.</b> {count} from the same noise; below is where they differ."
        case "failed":
            return f"<b>Not drawn.</b> {escape(board.message)}"
    return "<b>Ready.</b> Choose a comparison, or set the columns, and press Compare."


def _working(view: RunView, letter: str) -> str:
    """Where the column is that is being worked on, and what it is."""
    what = escape(description(view.spec))
    if view.phase == "loading":
        return f"<b>Getting column {letter} ready:</b> {what}."
    done, total = len(view.scales), view.schedule.num_scales
    if done == total:
        return f"<b>All scales of column {letter} are drawn:</b> {what}."
    return f"<b>Drawing column {letter}, scale {done + 1} of {total}:</b> {what}."


# --- columns --------------------------------------------------------------------------------------


def column(view: RunView, number: int) -> str:
    """Picture, facts and filmstrip of a column."""
    letter = LETTERS[number]
    said = escape(description(view.spec)) if view.spec else "Its picture appears here."
    facts = ""
    if view.scales:
        facts = f"<p>{seconds_text(view.seconds)} · {bytes_text(view.peak_kv_bytes)} of cache</p>"
    papers = f'<p class="vs-note">{_papers(view.spec)}</p>' if view.spec else ""
    return (
        f'<article class="vs-column" data-phase="{view.phase}" aria-label="Column {letter}">'
        f"<h3><b>{letter}</b><span>{said}</span></h3>{_picture(view, letter)}{facts}"
        f'<ol class="vs-strip" style="{stage.shape(view)}">{_strip(view)}</ol>{papers}</article>'
    )


def _picture(view: RunView, letter: str) -> str:
    if not view.pictures:
        return f'<div class="vs-blank" style="{stage.shape(view)}">{stage.mark()}</div>'
    height, width = view.size
    crisp = " vs-crisp" if width < SHOWN else ""
    return stage.enlarged(
        f'<img class="vs-picture{crisp}" src="{view.pictures[0]}" width="{width}" '
        f'height="{height}" alt="Column {letter}: {stage.alt(view, 0)}" decoding="sync">'
    )


def _strip(view: RunView) -> str:
    sizes = view.schedule.sizes if view.schedule else ()
    return "".join(
        f'<li><img class="vs-crisp" src="{view.scales[k].frame}" alt="After scale {k + 1}"></li>'
        if k < len(view.scales)
        else f'<li title="{h}×{w} tokens"></li>'
        for k, (h, w) in enumerate(sizes)
    )


def _papers(spec: RunSpec) -> str:
    """Links to the papers of cache policy and strategy."""
    classes = (methods.get(kind, getattr(spec, kind)["name"]) for kind in ("cache", "decoding"))
    return " · ".join(
        f'<a href="{escape(cls.paper, quote=True)}" target="_blank" rel="noopener">'
        f"{escape(cls.title)} (paper)</a>"
        for cls in classes
        if cls.paper.startswith("https://") and cls.name != "plain"
    )


def description(spec: RunSpec) -> str:
    """Model, and every method that is not as its card says: ``VAR small · ScaleKV, budget 0.1``."""
    card = get_card(spec.model)
    usual = RunSpec(model=spec.model, task=spec.task, inputs=spec.inputs, **_usual(card))
    parts = [card.title]
    for kind in KINDS:
        chosen, default = getattr(spec, kind), getattr(usual, kind)
        if chosen == default:
            continue
        same = chosen["name"] == default["name"]
        before = default if same else freeze(methods.dump(methods.parse(kind, chosen["name"])))
        said = [
            f"{key} {_short(value)}"
            for key, value in chosen.items()
            if key == "budget" or before.get(key) != value  # some are left out while as ever
        ]
        title = kind if same else methods.get(kind, chosen["name"]).title
        parts.append(", ".join([title, *said]) if not same or said else title)
    return " · ".join(parts)


def _usual(card) -> dict:
    return {kind: card.defaults[kind] for kind in KINDS if kind in card.defaults}


def _short(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


# --- pairs ----------------------------------------------------------------------------------------


def pairs(board: Board) -> str:
    """Every pair of columns behind a choice: slider, heat map, numbers."""
    if not board.pairs:
        return ""
    choices = "".join(_choice(pair, i == 0) for i, pair in enumerate(board.pairs))
    parts = "".join(_pair(board, pair, i == 0) for i, pair in enumerate(board.pairs))
    chooser = f'<fieldset class="vs-choose"><legend>Compare</legend>{choices}</fieldset>'
    return f'<h2 class="vs-title">Where they differ</h2>{chooser}{parts}'


def _choice(pair: Pair, chosen: bool) -> str:
    checked = " checked" if chosen else ""
    return (
        f'<label><input type="radio" name="vs-pair" value="{_key(pair)}"{checked}>'
        f"<span>{LETTERS[pair.a]} and {LETTERS[pair.b]}</span></label>"
    )


def _key(pair: Pair) -> str:
    return f"{LETTERS[pair.a]}{LETTERS[pair.b]}"


def _pair(board: Board, pair: Pair, shown: bool) -> str:
    a, b = LETTERS[pair.a], LETTERS[pair.b]
    first, second = board.views[pair.a], board.views[pair.b]
    pictures = "<p>Their pictures have different sizes.</p>"
    if pair.heat:
        size = first.size
        pictures = slider((a, first.pictures[0]), (b, second.pictures[0]), size, SHOWN)
        pictures += _heat(pair, size)
    return (
        f'<section class="vs-pair" data-pair="{_key(pair)}" aria-label="{a} and {b}"'
        f"{'' if shown else ' hidden'}>"
        f'<div class="vs-pair-pictures">{pictures}</div>'
        f"<div>{_verdict(pair.difference)}{_scales(pair.difference)}</div></section>"
    )


def _heat(pair: Pair, size: tuple[int, int]) -> str:
    height, width = size
    place = ""
    if pair.difference.first:
        first = pair.difference.first
        rows, columns = first.size
        place = (
            f'<i style="left:{100 * first.column / columns:.2f}%;top:{100 * first.row / rows:.2f}%;'
            f'width:{100 / columns:.2f}%;height:{100 / rows:.2f}%"></i>'
        )
    crisp = ' class="vs-crisp"' if width < SHOWN else ""
    caption = "Difference per pixel: black is none, white is all"
    frame = "; the frame is the first different token" if place else ""
    return (
        f'<figure class="vs-heat" style="--shown:{SHOWN}px;--shape:{width}/{height}"><div>'
        f'<img{crisp} src="{pair.heat}" alt="Heat map of the difference" decoding="sync">{place}'
        f"</div><figcaption>{caption}{frame}.</figcaption></figure>"
    )


def _verdict(found: Difference) -> str:
    if found.is_none:
        return (
            '<p class="vs-verdict"><b>No difference:</b> every token and every pixel is equal.</p>'
        )
    said = []
    if not found.comparable:
        said.append("Their tokenizers differ, so their tokens cannot be compared.")
    elif found.first:
        first = found.first
        height, width = first.size
        said.append(
            f"They part at <b>scale {first.scale + 1} ({height}×{width}), row {first.row + 1}, "
            f"column {first.column + 1}</b>."
        )
    else:
        said.append("No token differs.")
    if found.agreement is not None:
        said.append(f"<b>{found.agreement:.1%}</b> of all tokens are equal (token agreement).")
    if found.psnr is not None and found.psnr >= LIMIT:
        said.append("The finished pictures are equal, pixel by pixel.")
    elif found.psnr is not None:
        said.append(f"Finished pictures: PSNR <b>{found.psnr:.1f} dB</b>")
        said[-1] += f", SSIM <b>{found.ssim:.3f}</b>." if found.ssim is not None else "."
    return f'<p class="vs-verdict">{" ".join(said)}</p>'


def _scales(found: Difference) -> str:
    rows = "".join(
        f'<tr><th scope="row">{k + 1} · {s.size[0]}×{s.size[1]}</th>'
        f"<td>{_number(s.agreement, '{:.1%}')}</td><td>{_decibels(s.psnr)}</td>"
        f"<td>{_number(s.ssim, '{:.3f}')}</td></tr>"
        for k, s in enumerate(found.scales)
    )
    return table(SCALE_HEADS, rows, "Differences per scale")


def _decibels(value: float | None) -> str:
    """PSNR has no number for equal pictures."""
    return "identical" if value is not None and value >= LIMIT else _number(value, "{:.1f} dB")


def _number(value: float | None, text: str) -> str:
    return "–" if value is None else text.format(value)


# --- cost -----------------------------------------------------------------------------------------


def cost(board: Board) -> str:
    """Cache over scales and time per scale, a line per column, and the totals as a table."""
    views = [view for view in board.views if view.scales]
    if not views:
        return ""
    longest = max((view.schedule for view in views), key=lambda schedule: schedule.num_scales)
    kv = [[float(s.kv_bytes) for s in view.scales] for view in board.views]
    time = [[s.seconds for s in view.scales] for view in board.views]
    plots = _lines("Cache held (KV cache)", longest, kv, bytes_text)
    plots += _lines("Time per scale", longest, time, seconds_text)
    return f'<h2 class="vs-title">What they cost</h2><div class="vs-plots">{plots}</div>' + _totals(
        board.views
    )


def _lines(
    title: str, schedule: object, rows: Sequence[Sequence[float]], text: Callable[[float], str]
) -> str:
    plot = Plot(schedule, max([*(value for row in rows for value in row), 1e-9]))
    legend = " ".join(
        f'<i class="vs-key vs-tone-{n}"></i>{LETTERS[n]}' for n, row in enumerate(rows) if row
    )
    drawing = "".join(plot.line(row, f"vs-line vs-tone-{n}") for n, row in enumerate(rows))
    ends = ", ".join(f"{LETTERS[n]} {text(row[-1])}" for n, row in enumerate(rows) if row)
    most = f'<text class="vs-value" x="4" y="16">{text(plot.top)}</text>'
    return figure(
        title, legend, f"{title} after each scale; at last {ends}", plot.frame() + drawing + most
    )


def _totals(views: Sequence[RunView]) -> str:
    first = views[0]
    rows = "".join(_total(n, view, first) for n, view in enumerate(views) if view.scales)
    return table(HEADS, rows, "Cost of the columns")


def _total(number: int, view: RunView, first: RunView) -> str:
    held, full = view.peak_kv_bytes, max(scale.kv_full_bytes for scale in view.scales)
    cells = (
        seconds_text(view.seconds),
        bytes_text(held),
        _ratio(held, full, "{:.0%}"),
        _ratio(view.seconds, first.seconds, "{:.2f}×"),
        _ratio(held, first.peak_kv_bytes, "{:.2f}×"),
    )
    name = f"{LETTERS[number]} · {escape(description(view.spec))}"
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _ratio(value: float, base: float, text: str) -> str:
    return text.format(value / base) if base else "–"


def table(heads: Sequence[str], rows: str, name: str) -> str:
    """A table that scrolls on its own on narrow screens."""
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return (
        f'<div class="vs-scroll" tabindex="0" role="region" aria-label="{name}">'
        f'<table class="vs-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
