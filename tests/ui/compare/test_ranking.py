"""What a vote costs: a ranking is worked out once per set of votes."""

from __future__ import annotations

import secrets

from var_spaces.compare import votes
from var_spaces.compare.battle import Battle
from var_spaces.spec import RunSpec
from var_spaces.ui.compare import battle

SPEC = RunSpec(model="tiny")


def test_a_set_of_votes_is_ranked_once(tmp_path, monkeypatch):
    monkeypatch.setenv(votes.VARIABLE, str(tmp_path / "votes.jsonl"))
    ranked, real = [], battle.ranking
    monkeypatch.setattr(
        battle, "ranking", lambda cast: ranked.append(sum(cast.values())) or real(cast)
    )
    fought = Battle(f"a {secrets.token_hex(4)}", "b", (SPEC, SPEC))  # nobody else has ranked it
    shown = []
    for winner in ("a", "both-bad", "both-bad", "a"):
        ticket = battle.ROUNDS.open(fought)
        shown.append(battle._vote(winner, ticket, frozenset(), lambda: None)[1]["value"])
    assert ranked == [1, 2]  # who found both bad decided nothing
    assert shown[0] == shown[1] == shown[2] != shown[3]
    assert "<td>2</td>" in shown[3]
