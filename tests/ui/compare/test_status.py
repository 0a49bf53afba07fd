"""While columns are drawn, the line of the comparison says which one, and what it is."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from var_spaces import RunSpec
from var_spaces.spec import PARTS
from var_spaces.ui.compare import battle, compare_html, comparing
from var_spaces.zoo.cards import get_card


@pytest.fixture
def boards(models) -> list[comparing.Board]:
    cards = [get_card(name) for name in ("tiny-var", "tiny-styled")]
    columns = [comparing.COLUMN.defaults(card) for card in cards]
    return list(comparing.run(*comparing.request(comparing.SHARED.defaults(cards[0]), columns)))


def test_it_says_which_column_is_being_worked_on(boards):
    said = [re.sub("<[^>]*>", "", compare_html.status(board)) for board in boards]
    assert said[0] == f"Getting column A ready: {get_card('tiny-var').title}."
    assert said[1] == f"Getting column B ready: {get_card('tiny-styled').title}."
    assert said[2].startswith("Drawing column A, scale 1 of ")
    assert said[3].startswith("Drawing column B, scale 1 of ")
    assert said[-1].startswith("Done.")
    for board, following in pairwise(boards[:-1]):
        assert board.now == following.changed


def test_before_the_vote_it_does_not(boards):
    titles = {get_card(name).title for name in ("tiny-var", "tiny-styled")}
    assert boards[0].phase == "loading" and boards[1].phase == "running"
    for board in boards:
        said = compare_html.line(board, battle.BLIND[board.phase])
        assert not any(title in said for title in titles) and "column" not in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        (
            {"decoding": {"name": "collaborative", "refiner": "tiny-styled", "drafted": 2}},
            " · CoDe: a large drafter, a small refiner, refiner tiny-styled, drafted 2",
        ),
        (
            {"cache": {"name": "scalekv", "budget": 0.1, "pooling": "max"}},
            " · ScaleKV: drafter and refiner layers, budget 0.1, pooling max",
        ),
        ({"guidance": {"name": "linear", "scale": 4}}, " · guidance, scale 4.0"),
    ],
)
def test_a_column_is_called_by_what_is_not_as_ever(models, changes, said):
    """Lists in their frozen form, and parameters that a dump leaves out while they are unset."""
    card = get_card("tiny-styled")
    spec = RunSpec(model=card.id, **{kind: card.default(kind) for kind in PARTS} | changes)
    assert compare_html.description(spec) == card.title + said
