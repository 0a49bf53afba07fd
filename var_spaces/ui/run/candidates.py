"""What a search chose from, as HTML: all candidates after a scale, who went on and who did not.

Pure functions of what the page keeps of a search, see ``choice.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

from var_spaces.ui.run.choice import Choice
from var_spaces.ui.run.view import RunView
from var_spaces.ui.words import plural

HOW = {
    "clusters": "one of each look",
    "resampling": "drawn by reward, maybe more than once",
    "best": "it has the best reward and is the picture",
}
HEADS = ("Scale", "Picture", "How", "Went on", "Dropped")


def strip(view: RunView) -> str:
    """The candidates of the first picture, a row for every scale that dropped some."""
    rows = "".join(
        _row(number, view.scales[number].size, choice)
        for number, choice in _choices(view)
        if choice.image == 0
    )
    if not rows:
        return ""
    spent = sum(scale.tokens * scale.rows for scale in view.scales)
    spent /= view.tokens * len(view.pictures)
    title = "Candidates of the first picture" if len(view.pictures) > 1 else "Candidates"
    return (
        f'<h3 class="vs-heading">{title}</h3><div class="vs-search">{rows}</div>'
        f'<p class="vs-note">So far {spent:.2f} times the tokens of drawing without a search.</p>'
    )


def table(view: RunView) -> str:
    """Who went on and who was dropped, of every picture; empty where nothing was searched."""
    rows = "".join(
        f'<tr><th scope="row">{number + 1}</th><td>{view.spec.first + choice.image}</td>'
        f"<td>{choice.why}</td><td>{_names(choice, True)}</td><td>{_names(choice, False)}</td></tr>"
        for number, choice in _choices(view)
    )
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    return (
        '<div class="vs-scroll" tabindex="0" role="region" aria-label="Candidates per scale">'
        f'<table class="vs-table"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def _choices(view: RunView) -> Sequence[tuple[int, Choice]]:
    return [(k, choice) for k, scale in enumerate(view.scales) for choice in scale.choices]


def _row(scale: int, size: tuple[int, int], choice: Choice) -> str:
    alive = sum(times > 0 for times in choice.times)
    items = "".join(_item(scale, choice, number) for number in range(len(choice.times)))
    height, width = size
    return (
        f"<p><b>Scale {scale + 1} · {height}×{width}</b>{alive} of "
        f"{plural(len(choice.times), 'candidate')} {'goes' if alive == 1 else 'go'} on: "
        f"{HOW[choice.why]}.</p><ol>{items}</ol>"
    )


def _item(scale: int, choice: Choice, number: int) -> str:
    times = choice.times[number]
    state = {0: "dropped", 1: "goes on"}.get(times, f"goes on ×{times}")
    reward = f"{choice.rewards[number]:.2f}" if choice.rewards else ""
    words = f"Candidate {number + 1} after scale {scale + 1}: {state}"
    words += f", reward {reward}" if reward else ""
    return (
        f'<li data-times="{times}"><img class="vs-crisp" src="{choice.pictures[number]}" '
        f'alt="{words}" decoding="sync"><span>{reward}</span><span>{state}</span></li>'
    )


def _names(choice: Choice, alive: bool) -> str:
    """Candidates in words, the one with the best reward first."""
    wanted = [n for n, times in enumerate(choice.times) if (times > 0) == alive]
    if choice.rewards:
        wanted.sort(key=lambda n: -choice.rewards[n])
    return ", ".join(
        choice.name(n) + (f" ×{choice.times[n]}" if choice.times[n] > 1 else "") for n in wanted
    )
