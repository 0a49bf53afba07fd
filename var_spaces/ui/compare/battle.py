"""Blind battles: two pictures without names, a vote, the names, and the ranking of all votes."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from var_spaces.compare import votes
from var_spaces.compare.battle import Battle, Pair, next_battle
from var_spaces.compare.ranking import Rank, comparable, ranking
from var_spaces.compare.rounds import Rounds
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.compare import compare_html, comparing
from var_spaces.ui.compare.comparing import TAB, WHOLE, Board
from var_spaces.ui.form.controls import Controls
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.layout import Fields
from var_spaces.ui.once import once
from var_spaces.ui.queue.wiring import HIDDEN, QUICK, fills, refusal, refusing, runs
from var_spaces.ui.run import handlers, pixels, stage
from var_spaces.ui.run.screen import LIVE
from var_spaces.ui.run.view import RunView
from var_spaces.ui.server.address import address
from var_spaces.ui.server.hourly import shared
from var_spaces.ui.words import plural
from var_spaces.validation import FrozenDict
from var_spaces.zoo.cards import Card, get_card

ASKED = Form(TAB, ("model", "task", "input"))
WINNERS = {
    "a": "Left is better",
    "b": "Right is better",
    "tie": "Equally good",
    "both-bad": "Both bad",
}
ENOUGH = 10  # votes that an interval needs
# A ranking is worked out for each vote, and takes a processor for a moment: one after another.
VOTING = {**HIDDEN, "concurrency_id": "votes", "concurrency_limit": 1}
HEADS = ("Configuration", "Points", "95 % interval", "Votes")
ROUNDS = Rounds()
READY = (
    "<b>Ready.</b> Two pictures of one thing; vote first, then see what drew them. <span>Both "
    "sides get the same words and, where a task begins with one, the same picture.</span>"
)

BLIND = {  # what is said of both sides while nothing may say which they are
    "loading": "<b>Getting both sides ready.</b> What they are is told after the vote.",
    "running": "<b>Drawing both sides in turns,</b> from the same noise.",
    "done": "<b>Drawn.</b> Which one is better?",
}


class Question(Fields):
    """What both sides draw."""

    def __init__(self, card: Card) -> None:
        super().__init__(Controls(ASKED, "battle"), card)
        with gr.Group(elem_classes="vs-card"):
            self.add("model")
            self.add_inputs()
        self.add_buttons("New battle")


def build_battle(card: Card) -> None:
    """Lay out and wire battles inside the current Blocks."""
    with gr.Row(elem_classes="vs-tab"):
        with gr.Column(scale=5, min_width=300, elem_classes="vs-form"):
            question = Question(card)
        with gr.Column(scale=11, min_width=320, elem_classes="vs-screen"):
            status = gr.HTML(
                stage.line("empty", READY, 0), elem_id="battle-status", js_on_load=LIVE
            )
            pictures = gr.HTML(blind(Board()), elem_id="battle-pictures", elem_classes="vs-card")
            with gr.Row(elem_classes="vs-votes"):
                buttons = {
                    winner: gr.Button(text, interactive=False, elem_id=f"battle-vote-{winner}")
                    for winner, text in WINNERS.items()
                }
            table = gr.HTML(visible=False, elem_id="battle-ranking", elem_classes="vs-card")
    ticket, seen = gr.State(None), gr.State(frozenset())
    outputs = [status, pictures, ticket, *buttons.values()]
    drawing = runs(
        [question.go.click],
        _draw,
        [seen],
        outputs,
        named=question.named,
        status=status,
        stop=question.stop,
    )
    question.stop.click(
        lambda said: (stage.stopped(said), gr.skip(), None, *_switch(False)),
        status,
        outputs,
        cancels=[drawing],
        **QUICK,
    )
    for winner, button in buttons.items():
        button.click(
            _voting(winner),
            [ticket, seen],
            [status, table, ticket, seen, *buttons.values()],
            **VOTING,
        )
    for key in ("model", "task"):
        fills(
            question.component(key).input,
            partial(_change, question, key),
            None,
            question.components,
            inputs_kwargs=question.small,
            go=question.go,
        )


def _change(question: Question, key: str, **given: Any) -> dict:
    with refusing():
        new = handlers.changed(ASKED, key, given)
        return question.filled(new, given)


def question_run(given: Mapping[str, Any], seed: int) -> tuple[RunSpec, dict[str, Any]]:
    """The plain run of what is asked, with a seed that nobody chose, and the pictures that it names
    by content hash."""
    card = get_card(given["model"] or "", "generator")
    return WHOLE.request({**WHOLE.defaults(card), **ASKED.shown(given), "seed": str(seed)})


def _draw(seen: frozenset[Pair], **given: Any) -> Iterator[tuple]:
    try:
        base, handed = question_run(given, secrets.randbelow(2**32))
        battle = next_battle(base, votes.read()[0], seen=seen)
    except VarSpacesError as error:
        said = stage.line("failed", f"<b>Not drawn.</b> {escape(str(error))}", 0)
        yield (said, gr.skip(), None, *_switch(False))
        raise refusal(str(error)) from None
    with closing(comparing.run(battle.runs, handed)) as boards:
        for board in boards:
            if board.phase == "failed":
                yield (compare_html.status(board), gr.skip(), None, *_switch(False))
                raise refusal(board.message)
            done = board.phase == "done"
            yield (
                compare_html.line(board, BLIND[board.phase]),
                blind(board),
                ROUNDS.open(battle) if done else None,
                *_switch(done),
            )


def _voting(winner: str) -> Callable[..., tuple]:
    hourly = shared("max_votes_per_hour", "vote")

    # gradio hands over what is annotated with its own types
    def vote(ticket: str | None, seen: frozenset[Pair], request: gr.Request) -> tuple:
        return _vote(winner, ticket, seen, lambda: hourly.take(address(request)))

    return vote


def _vote(
    winner: str, ticket: str | None, seen: frozenset[Pair], allowed: Callable[[], None]
) -> tuple:
    """Keep a vote; one for each battle, and only then the names."""

    def keep(battle: Battle) -> None:
        allowed()
        votes.add(battle.vote(winner, votes.now()))

    with refusing():
        battle = ROUNDS.vote(ticket, keep)
        found, _ = votes.read()
    names = " · ".join(
        f"{side}: <b>{escape(name)}</b>" for side, name in (("Left", battle.a), ("Right", battle.b))
    )
    said = stage.line("done", f"Thank you. {names}", 1)
    alike = comparable(votes.decided(found), battle.a)
    table = rank_table(_ranked(FrozenDict(Counter(alike))), len(alike))
    judged = seen | {frozenset((battle.a, battle.b))}
    return said, gr.update(value=table, visible=True), None, judged, *_switch(False)


@once(8)
def _ranked(cast: FrozenDict) -> tuple[Rank, ...]:
    """The ranking of votes, by how often each was cast."""
    return tuple(ranking(cast))


def _switch(on: bool) -> list[dict]:
    """The buttons to vote."""
    return [gr.update(interactive=on)] * len(WINNERS)


def blind(board: Board) -> str:
    """Both pictures without a word about what draws them."""
    sides = []
    for number, side in enumerate(("Left", "Right")):
        view = board.views[number] if board.views else None
        if view is None or not view.pictures:
            sides.append(f'<div class="vs-blank">{stage.mark()}</div>')
            continue
        height, width = view.size
        crisp = " vs-crisp" if width < compare_html.SHOWN else ""
        picture = stage.enlarged(
            f'<img class="vs-picture{crisp}" src="{_plain(view)}" width="{width}" '
            f'height="{height}" alt="{side} picture" decoding="sync">'
        )
        sides.append(f"<figure>{picture}<figcaption>{side}</figcaption></figure>")
    return f'<div class="vs-duel">{"".join(sides)}</div>'


def _plain(view: RunView) -> str:
    """The first picture without its run spec, which names what drew it."""
    return pixels.plain(view.images[0]) if view.images else view.pictures[0]


def _interval(rank: Rank) -> str:
    """Resampling one vote, or equal ones, gives the same again: that is no certainty."""
    certain = rank.votes >= ENOUGH and rank.high > rank.low
    return f"{rank.low:.0f} to {rank.high:.0f}" if certain else "too few votes"


def rank_table(ranks: Sequence[Rank], count: int) -> str:
    """The ranking of all votes, best first."""
    if not ranks:
        return "<p>No vote has decided anything yet.</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(rank.name)}</th><td>{rank.points:.0f}</td>'
        f"<td>{_interval(rank)}</td><td>{rank.votes}</td></tr>"
        for rank in ranks
    )
    note = (
        f'<p class="vs-note">{plural(count, "vote")}; strengths of Bradley and Terry, 400 points '
        f"are odds of ten to one. Intervals come from resampling the votes, {ENOUGH} of one "
        "configuration at least, which must not all say the same.</p>"
    )
    table = compare_html.table(HEADS, rows, "Ranking of the votes")
    return f'<h2 class="vs-title">Ranking (Bradley-Terry)</h2>{table}{note}'
