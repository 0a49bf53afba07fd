"""The stage of the page as HTML: the state in words, the pictures, and the filmstrip of scales.

Pure functions of a :class:`RunView`. Everything that did not come from this file is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Container
from html import escape
from typing import Any

from var_spaces import methods
from var_spaces.spec import RunSpec
from var_spaces.ui.glossary import term
from var_spaces.ui.run import candidates
from var_spaces.ui.run.onward import onward
from var_spaces.ui.run.slider import slider
from var_spaces.ui.run.view import RunView, ScaleView
from var_spaces.ui.words import asked, bytes_text, plural, seconds_text

SHOWN_SIDE = 384  # a single picture is shown at least this large, in whole multiples of its pixels
LARGEST_SIDE = 640

# The mark of the project: a square that gets finer from corner to corner.
QUADTREE = (
    (0, 0, 8, "a"),
    (8, 0, 4, "b"),
    (12, 0, 4, "c"),
    (8, 4, 4, "c"),
    (12, 4, 4, "b"),
    (0, 8, 4, "b"),
    (4, 8, 4, "c"),
    (0, 12, 4, "c"),
    (4, 12, 4, "b"),
    *((8 + 2 * x, 8 + 2 * y, 2, "abc"[(x + 2 * y) % 3]) for y in range(4) for x in range(4)),
)


def mark() -> str:
    """The project's mark as an SVG picture without a name, for decoration."""
    cells = "".join(
        f'<rect class="vs-{tone}" x="{x + 0.25}" y="{y + 0.25}" width="{side - 0.5}" '
        f'height="{side - 0.5}" rx="{min(side / 8, 0.6)}"/>'
        for x, y, side, tone in QUADTREE
    )
    return f'<svg class="vs-mark" viewBox="0 0 16 16" aria-hidden="true">{cells}</svg>'


# --- state in words -------------------------------------------------------------------------------


def status(view: RunView) -> str:
    """One line that says where the run is, with a bar that fills token by token."""
    total = view.schedule.total if view.schedule else 0
    share = view.tokens / total if total else 0.0
    return line(view.phase, _words(view), 1.0 if view.phase == "done" else share)


DRAWN = " data-drawn"  # marks lines of which something is drawn


def stopped(said: str | None) -> str:
    """The line after a visitor's Stop.

    Args:
        said: the line before it.
    """
    drawn = DRAWN in (said or "")
    left = "What was drawn so far stays here." if drawn else "Nothing was drawn yet."
    return line("stopped", f"<b>Stopped.</b> {left}", 0.0)


def notice(text: str) -> str:
    """The line for a message that is no state of a run."""
    return line("notice", escape(text), 0.0)


def restored(said: str, go: str, spec: RunSpec, known: Container[str] = ()) -> str:
    """The line for settings that are back, with what they do not hold.

    Args:
        go: the button that draws them again.
        known: content hashes of pictures that are back, too.
    """
    task = methods.parse("task", {"name": spec.task, **spec.inputs})
    lacks = any(key not in known for key in task.pictures().values())
    pictures = "If its picture is not here, hand it in again: it is no part of them. "
    return notice(f"{said} {pictures if lacks else ''}Press {go} to draw it again.")


def line(phase: str, words: str, share: float) -> str:
    """State, words as HTML, and the filled part of the bar."""
    return (
        f'<div class="vs-status" data-phase="{phase}"{DRAWN if share else ""}>'
        '<span class="vs-dot" aria-hidden="true">'
        f'</span><p>{words}</p><span class="vs-bar" aria-hidden="true">'
        f'<i style="width:{100 * share:.1f}%"></i></span></div>'
    )


def _words(view: RunView) -> str:
    match view.phase:
        case "loading":
            return "<b>Getting ready.</b> The first picture of a model takes a few seconds longer."
        case "running":
            done, total = len(view.scales), view.schedule.num_scales
            if done == total:
                return "<b>All scales are drawn.</b> Decoding the last details."
            height, width = view.schedule.sizes[done]
            tokens = plural(height * width, "token")
            return f"<b>Drawing scale {done + 1} of {total}:</b> {height}×{width}, {tokens}."
        case "done":
            images = plural(len(view.pictures), "picture")
            notes = "".join(f" {escape(note)}" for note in view.notes)
            return f"<b>Done.</b> {images} in {seconds_text(view.seconds)}.{notes}"
        case "failed":
            return f"<b>Not drawn.</b> {escape(view.message)}"
    if view.schedule is None:
        return "<b>No model yet.</b> Put a model into assets/models or set VAR_SPACES_MODELS."
    return f"<b>Ready.</b> {escape(view.promise)}"


# --- pictures -------------------------------------------------------------------------------------


def parts(view: RunView) -> dict[str, Any]:
    """The large pictures, the facts of the run, the filmstrip and the candidates of a search, each
    for a part of :data:`LAYOUT`: what does not change is not sent again."""
    return {
        "stage": {"data-phase": view.phase},
        "pictures": _pictures(view) if view.pictures else _blank(view),
        "facts": _facts(view),
        "next": onward(view),
        "heading": _heading(view),
        "film": {"style": f"{shape(view)};--most:{_abreast(view)}"},
        "frames": _frames(view),
        "search": candidates.strip(view),
    }


# Where the parts go; the film is a list that holds the frames.
LAYOUT = """<div class="vs-stage" data-part="stage">
<div class="vs-show" data-part="pictures"></div><div class="vs-facts" data-part="facts"></div></div>
<div data-part="next"></div><h3 class="vs-heading" data-part="heading"></h3>
<div data-part="film"><ol class="vs-film" data-part="frames"></ol></div>
<div data-part="search"></div>"""


def _pictures(view: RunView) -> str:
    count, (height, side) = len(view.pictures), view.size
    longer = max(height, side)
    columns = math.ceil(math.sqrt(count)) if count <= 16 else 0
    zoom = max(1, -(-SHOWN_SIDE // (longer * max(columns, 1)))) if columns else 128 // side or 1
    shown = min(side * zoom, LARGEST_SIDE * side // longer)
    crisp = "" if shown < side else " vs-crisp"
    images = "".join(
        enlarged(
            f'<img class="vs-picture{crisp}" src="{uri}" alt="{alt(view, i)}" width="{side}" '
            f'height="{height}" decoding="sync">'
        )
        for i, uri in enumerate(view.pictures)
    )
    if view.before and count == 1 and view.phase == "done":
        size, wide, said = view.size, min(shown, LARGEST_SIDE), alt(view, 0)
        if "control" in methods.get("task", view.spec.task).model_fields:
            sides = ("Map", view.before), ("Picture", view.pictures[0])
            return slider(*sides, size, wide, said, "Map over the picture (opacity)")
        return slider(("Before", view.before), ("After", view.pictures[0]), size, wide, said)
    grid = f"repeat({columns}, minmax(0, {shown}px))" if columns else ""
    many = "" if columns else " vs-many"
    style = f"grid-template-columns:{grid};" if grid else ""
    return f'<div class="vs-pictures{many}" style="{style}--side:{side}px">{images}</div>'


def enlarged(picture: str) -> str:
    """A picture as HTML that is enlarged by a click (``js/onward.js``)."""
    return f'<button type="button" class="vs-open" title="Enlarge">{picture}</button>'


def alt(view: RunView, position: int) -> str:
    """What a picture shows, for who does not see it; escaped."""
    title = " · ".join(asked(view.spec)) or "freely drawn picture"
    number = view.spec.first + position
    state = "" if view.phase == "done" else f", after {plural(len(view.scales), 'scale')}"
    return escape(f"{title}, seed {view.spec.seed}, picture {number}{state}", quote=True)


def _blank(view: RunView) -> str:
    if view.phase == "empty" and view.example:
        return _example(view)
    height, width = view.schedule.last if view.schedule else (1, 1)
    shown = SHOWN_SIDE * width // max(height, width)
    return f'<div class="vs-blank" style="--shown:{shown}px;{shape(view)}">{mark()}</div>'


def _example(view: RunView) -> str:
    """The finished example: it becomes sharp once when it is seen, and again when asked to."""
    example = view.example
    alt = f"Example: {' · '.join(asked(example.spec))}, drawn by {example.spec.model}"
    picture = example.tile(example.count - 1, alt, "vs-grows vs-crisp")
    return (
        f'<div class="vs-pictures vs-example" style="--shown:{SHOWN_SIDE}px;'
        f'--steps:{example.count}">{picture}</div>'
    )


def shape(view: RunView) -> str:
    """Style that gives something the shape of the picture that is to come."""
    height, width = view.schedule.last if view.schedule else (1, 1)
    return f"--shape:{width}/{height}"


def _facts(view: RunView) -> str:
    if view.spec is None:
        return _explained(view)
    rows, saving = {"Seed": str(view.spec.seed), "Model": view.spec.model}, ""
    if view.scales:
        total = view.schedule.total
        rows["Time"] = seconds_text(view.seconds)
        rows["Tokens"] = f"{view.tokens:,} of {total:,}"
        if len(view.pictures) > 1:
            rows["Tokens"] += " each"
        held = bytes_text(view.peak_kv_bytes)
        saving = _saving(view)
        rows["Cache at most"] = held if view.peak_kv_bytes else "none is kept"
    title = escape(" · ".join(asked(view.spec))) or ("Anew" if view.before else _nothing(view.spec))
    rows = {name: escape(text) for name, text in rows.items()}
    if saving:
        rows["Cache at most"] += f" ({saving})"
    rows["Run"] = f'<span class="vs-mono">{view.spec.id}</span>'
    items = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in rows.items())
    return f"<h2>{title}</h2><dl>{items}</dl>"


def _nothing(spec: RunSpec) -> str:
    """Title of a run that was asked for nothing in particular."""
    return "No prompt" if "prompt" in methods.get("task", spec.task).model_fields else "Any class"


def _saving(view: RunView) -> str:
    """The part of a full cache that was held, if it was not all of it, and why it is not the budget
    that was set; as HTML."""
    full = max(scale.kv_full_bytes for scale in view.scales)
    share = view.peak_kv_bytes / full if full else 1
    return term("budget", f"{share:.0%} of full") if share < 1 else ""


def _explained(view: RunView) -> str:
    schedule = view.schedule
    if schedule is None:
        return "<h2>Nothing to draw with</h2><p>No model was found on this computer.</p>"
    (first_h, first_w), (last_h, last_w) = schedule.sizes[0], schedule.last
    sees = "it looks back at everything it drew before"
    if not view.looks_back:
        sees = "it looks at the picture so far and remembers nothing else"
    again = ""
    if view.example:
        again = '<p><button type="button" class="vs-again" data-replay>Play again</button></p>'
    return (
        "<h2>From coarse to fine</h2>"
        f"<p>A next-scale model draws the whole picture {schedule.num_scales} times: first as "
        f"{first_h}×{first_w} token, at last as {last_h}×{last_w}. Each time {sees}.</p>{again}"
        "<p>Click an example above, and watch your own picture become sharp.</p>"
    )


# --- filmstrip ------------------------------------------------------------------------------------


def _heading(view: RunView) -> str:
    if view.schedule is None:
        return ""
    if view.phase == "empty" and view.example:
        return f"An example, scale by scale: {' · '.join(asked(view.example.spec))}"
    if any(scale.rows > len(view.pictures) for scale in view.scales):
        return "First candidate of the search, scale by scale"
    return "First picture, scale by scale" if len(view.pictures) > 1 else "Scale by scale"


def _abreast(view: RunView) -> int:
    """Scales that stand in a row where there is room: six, or so many that none is left alone."""
    scales = view.schedule.num_scales if view.schedule else 0
    return max(6, scales) if scales <= 8 else min(7, math.ceil(scales / 2))


def _frames(view: RunView) -> list[tuple[str, str]]:
    """State and HTML of every scale."""
    if view.schedule is None:
        return []
    return [
        _frame(view, k, size, view.scales[k] if k < len(view.scales) else None)
        for k, size in enumerate(view.schedule.sizes)
    ]


def _frame(
    view: RunView, k: int, size: tuple[int, int], scale: ScaleView | None
) -> tuple[str, str]:
    height, width = size
    tokens = plural(height * width, "token")
    caption = f"<b>Scale {k + 1} · {height}×{width}</b>"
    if view.phase == "empty" and view.example:
        state, numbers = "example", f"<span>{tokens}</span>"
        alt = f"The example after scale {k + 1}, {height} by {width} tokens"
        picture = view.example.tile(k, alt, "vs-crisp")
    elif scale is None:
        state = "next" if k == len(view.scales) else "later"
        picture, numbers = _token_grid(height, width), f"<span>{tokens}</span>"
    else:
        state = "done"
        alt = f"First picture after scale {k + 1}, {height} by {width} tokens"
        picture = f'<img class="vs-crisp vs-new" src="{scale.frame}" alt="{alt}" decoding="sync">'
        numbers = f"<span>{tokens}</span><i> · </i><span>{seconds_text(scale.seconds)}</span>"
    return state, f"{picture}<p>{caption}{numbers}</p>"


def _token_grid(height: int, width: int) -> str:
    """The token map of a scale that is still to come."""
    lines = [f"M{100 * i / width:.2f} 0V100" for i in range(1, width)]
    lines += [f"M0 {100 * i / height:.2f}H100" for i in range(1, height)]
    return (
        '<svg viewBox="0 0 100 100" aria-hidden="true" preserveAspectRatio="none">'
        f'<path d="{"".join(lines) or "M0 0"}"/></svg>'
    )
