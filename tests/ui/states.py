"""What the page says of edits, trainings, rows, submissions and needs, in every state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from leaderboard.store.index import row
from leaderboard.submissions.request import Lease, Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.table.board import Source, build
from leaderboard.table.fitting import fitted
from leaderboard.table.view import View
from tests.leaderboard.results import ENTRY, pair
from tests.ui.words import spoken
from var_spaces.tasks.plan import plan
from var_spaces.ui.board import html as board_html
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.needs import needs
from var_spaces.ui.own import html as learning_html
from var_spaces.ui.own.learning import LearnView, Trial
from var_spaces.ui.own.lessons import LESSONS
from var_spaces.ui.run.steps import Steps, changes, strip
from var_spaces.ui.words import bytes_text
from var_spaces.zoo import fitting
from var_spaces.zoo.cards import get_card

LOSSES = {"subject": ("your pictures", "others of its kind"), "style": ("style", "content")}
LINK = '<a href="?run=0">these settings</a>'
PHASES = ("empty", "loading", "running", "done")


def of_states() -> set[str]:
    """All of it, for tiny models."""
    parts = (edits(), *trainings(), *rows(), submissions(), *memory())
    return {said for part in parts for said in spoken(part)}


def edits() -> str:
    """A chain with a branch, and what an edit changed."""
    pictures = [np.full((16, 16, 3), tone, np.uint8) for tone in (0, 60, 120, 180)]
    first, second, third, fourth = pictures
    steps = Steps().grown(first, second, "cat", "1" * 16).grown(second, third, "dog", "2" * 16)
    steps = steps.to(1).grown(second, fourth, "owl", "3" * 16)
    half = first.copy()
    half[:8] = 200
    below = np.arange(16)[:, None].repeat(16, 1) >= 8
    told = [changes(first, half, kept) for kept in (None, below, ~below)]
    return strip(steps) + "".join(told)


def trainings() -> Iterator[str]:
    """Every lesson in every phase."""
    for name, lesson in LESSONS.items():
        known = LOSSES[name]
        for losses in (known, known[:1]):  # the first step of turns is of one of them
            view = LearnView(
                name,
                step=5,
                steps=60,
                seconds=9.0,
                losses=tuple((loss, (0.5, 0.4)) for loss in losses),
                trials=(Trial(1, ("",) * len(lesson.trials)), Trial(5, ("",) * len(lesson.trials))),
            )
            found = [replace(view, phase=phase) for phase in PHASES]
            found.append(replace(view, phase="stopped", message="You stopped it"))
            for one in found:
                yield learning_html.status(one) + "".join(learning_html.parts(one).values())


def rows() -> Iterator[str]:
    """A board with every verdict, and the details of its rows."""
    results = [
        pair(n, entry={**ENTRY, "model": f"tiny-{n}"})[0]
        for n in range(1, len(board_html.STAMPS) + 1)
    ]
    verdicts = dict(zip((r.id for r in results), board_html.STAMPS, strict=True))
    source = Source(tuple(map(row, results)), verdicts)
    view, told = fitted(source, View(protocol="gone v1 0123abcd"))
    yield board_html.table(build(source, view), said=told)
    yield board_html.details(results[0], None, LINK)
    for unchecked in ((), ("Frechet",)):
        verdict = Verdict(
            result=results[0].id,
            verdict="verified",
            images=(0, 1),
            equal_tokens=2,
            equal_pixels=1,
            unchecked=unchecked,
            created="2026-11-25T19:53:38Z",
        )
        yield board_html.details(results[0], verdict, LINK)


def submissions() -> str:
    """One in every state."""
    asked = Request(
        suite="smoke",
        protocol="smoke v1 0123abcd",
        entry={**ENTRY, "model": "tiny-styled"},
        created=1.0,
        submitter="Ada",
    )
    runs = [
        asked.model_copy(
            update={"state": "running", "lease": Lease(worker="w", since=1, until=9, progress=told)}
        )
        for told in ("", "draw tiny-styled: 3/8", "measure: 1/5", "draw again: 2/8")
    ]
    again = asked.model_copy(update={"reason": "cat", "attempts": 1})
    ended = [asked.model_copy(update={"state": state}) for state in ("done", "failed")]
    listed = [asked, again, *runs, *ended]
    return board_html.submissions(listed, 9.0) + board_html.submissions(listed, 1.5)


def memory() -> Iterator[str]:
    """What a run needs, and every verdict on it."""
    form = Form("generate")
    given = form.defaults(get_card("tiny-styled"))
    yield needs(form, given)
    remedies = ["a smaller model"]
    remedies += [words for words, _ in fitting._changes({"count": 2, "dtype": "float32"})]
    remedies.append("one image at a time, blocks in other places (VAR_SPACES_DEVICE=cuda,cpu,disk)")
    planned = plan(form.spec(given))
    found = fitting.report(planned.card, cache=planned.cache, guidance=planned.guidance)
    for free, remedy in ((None, None), (10**12, None), *((1, words) for words in remedies)):
        yield replace(found, memory=free, remedy=remedy).said(bytes_text)
