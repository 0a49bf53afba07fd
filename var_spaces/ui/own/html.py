"""A training as HTML: where it is, how the loss falls, what is drawn meanwhile. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from var_spaces.ui.glossary import term
from var_spaces.ui.own.learning import LearnView
from var_spaces.ui.own.lessons import LESSONS
from var_spaces.ui.run import stage
from var_spaces.ui.words import plural

WIDTH, HEIGHT, TOP, BOTTOM = 380, 120, 8, 18
SMOOTH = 8  # steps that a point of the curve is the mean of
TONES = ("vs-line-a", "vs-line-b")

LAYOUT = """<div data-part="about"></div><div class="vs-learning">
<div data-part="curve"></div><div data-part="trials"></div></div>"""


def status(view: LearnView) -> str:
    """One line that says where the training is, with a bar that fills step by step."""
    share = view.step / view.steps if view.steps else 0.0
    phase = "done" if view.phase in ("done", "stopped") else view.phase
    return stage.line(phase, _words(view), 1.0 if phase == "done" else share)


def _words(view: LearnView) -> str:
    match view.phase:
        case "empty":
            return "<b>Ready.</b> It takes a minute or two; pictures appear while it learns."
        case "loading":
            return "<b>Getting ready.</b> The model looks at what you gave."
        case "running":
            left = f"about {clock(view.left)} left" if view.step > 1 else "timing the first steps"
            return f"<b>Learning, step {view.step} of {view.steps}:</b> {left}."
        case "done":
            return f"<b>Learned</b> in {clock(view.seconds)}. It is yours: draw with it below."
        case "stopped":
            return (
                f"<b>Kept after {view.step} of {view.steps} steps.</b> {escape(view.message)}; "
                "what was learned so far is yours."
            )
    return f"<b>Not learned.</b> {escape(view.message)}"


def clock(seconds: float) -> str:
    """``75`` -> ``1 min 15 s``."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def parts(view: LearnView, about: str = "") -> dict[str, Any]:
    """For the parts of :data:`LAYOUT`."""
    return {
        "about": "" if view.losses else about,
        "curve": _curve(view) if view.losses else "",
        "trials": _trials(view) if view.trials else "",
    }


def _curve(view: LearnView) -> str:
    lines = [(name, _smoothed(values)) for name, values in view.losses]
    top = max(max(values) for _, values in lines) or 1.0
    longer = view.steps / max(view.step, 1)  # turns share the steps
    drawn = "".join(
        f'<polyline class="{TONES[i % 2]}" points="{_points(values, longer, top)}"/>'
        for i, (_, values) in enumerate(lines)
    )
    keys = " ".join(
        f'<i class="{TONES[i % 2]}"></i>{escape(name)} {values[-1]:.3f}'
        for i, (name, values) in enumerate(lines)
    )
    told = ", ".join(f"{name} now {values[-1]:.3f}" for name, values in lines)
    return (
        f'<figure class="vs-plot vs-loss"><figcaption><b>{term("loss", "Loss")}</b>'
        f"<span>{keys}</span></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Loss: {escape(told)}">'
        f'<path class="vs-guide" d="M0 {HEIGHT - BOTTOM}H{WIDTH}"/>{drawn}'
        f'<text class="vs-tick" x="{WIDTH - 2}" y="{HEIGHT - 4}" style="text-anchor:end">'
        f"{plural(view.steps, 'step')}</text></svg></figure>"
    )


def _smoothed(values: Sequence[float]) -> list[float]:
    return [
        sum(values[max(0, i + 1 - SMOOTH) : i + 1]) / min(i + 1, SMOOTH) for i in range(len(values))
    ]


def _points(values: Sequence[float], longer: float, top: float) -> str:
    """A curve over the whole training, which is so many times longer."""
    wide, high = WIDTH / max(len(values) * longer - 1, 1), HEIGHT - BOTTOM - TOP
    heights = [TOP + high * (1 - value / top) for value in values]
    return " ".join(f"{wide * i:.1f},{height:.1f}" for i, height in enumerate(heights))


def _trials(view: LearnView) -> str:
    prompts = LESSONS[view.lesson].trials
    heads = "".join(f'<th scope="col">{trial.step}</th>' for trial in view.trials)
    rows = "".join(
        f'<tr><th scope="row">{escape(prompt)}</th>'
        + "".join(
            f'<td><img class="vs-crisp" src="{trial.pictures[row]}" decoding="sync" '
            f'alt="{escape(prompt, quote=True)}, after {plural(trial.step, "step")}"></td>'
            for trial in view.trials
        )
        + "</tr>"
        for row, prompt in enumerate(prompts)
    )
    return (
        '<div class="vs-scroll" tabindex="0" role="region" aria-label="Drawn while it learns">'
        '<table class="vs-table vs-trials"><thead><tr><th scope="col">Drawn after step</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
