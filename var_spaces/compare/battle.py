"""Blind battles: two configurations draw the same thing from the same noise; names come after.

Contestants are plain runs of a model with one thing changed each. The pair that was voted on least
meets next, so that every pair is judged about as often.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from var_spaces import methods
from var_spaces.compare.presets import PLAIN, Changes
from var_spaces.compare.votes import Vote
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan

CONTESTANTS: Mapping[str, Changes] = {
    "full cache": {},
    "ScaleKV, 10 %": {"cache": {"name": "scalekv", "budget": 0.1}},
    "HACK, 30 %": {"cache": {"name": "hack", "budget": 0.3}},
    "SnapKV, 10 %": {"cache": {"name": "snapkv", "budget": 0.1}},
    "StreamingLLM, 10 %": {"cache": {"name": "streaming-llm", "budget": 0.1}},
    "4-bit cache": {"cache": {"name": "quantised", "bits": 4}},
    "no guidance": {"guidance": {"name": "linear", "scale": 0.0}},
    "CoDe": {"decoding": {"name": "collaborative"}},
    "VARiant": {"decoding": {"name": "supernet"}},
    "TTS-VAR": {"decoding": {"name": "tts-var"}},
    "best of 4": {"decoding": {"name": "best-of-n", "candidates": 4}},
}


@dataclass(frozen=True)
class Battle:
    """Two runs of one thing; ``a`` and ``b`` are their names in the ranking."""

    a: str
    b: str
    runs: tuple[RunSpec, RunSpec]

    def vote(self, winner: str, when: int) -> Vote:
        """The vote of a visitor."""
        first, second = self.runs
        return Vote(when=when, a=self.a, b=self.b, run_a=first.id, run_b=second.id, winner=winner)


def contestants(base: RunSpec) -> dict[str, RunSpec]:
    """Runs that can compete with the model and inputs of ``base``, by name in the ranking."""
    found = {}
    for name, changes in CONTESTANTS.items():
        try:
            planned = plan(base.replace(**{**PLAIN, **changes}))
        except VarSpacesError:
            continue  # it does not work with this model
        if "reward" in planned.spec.decoding and not planned.task.asked(planned.card).text:
            continue  # it looks for what was asked, and that is nothing
        found[f"{_does(base)}, {name}"] = planned.spec
    return found


def _does(base: RunSpec) -> str:
    """Model, and its task where that begins with a picture: such votes are about something else."""
    begins = methods.get("task", base.task).picture_fields()
    return f"{base.model} ({base.task})" if begins else base.model


Pair = frozenset[str]


def next_battle(
    base: RunSpec,
    votes: Sequence[Vote],
    random: Random | None = None,
    seen: Collection[Pair] = (),
) -> Battle:
    """A pair of contestants in random order.

    Args:
        seen: pairs that this visitor has judged: everyone judges a pair once.

    Raises:
        VarSpacesError: if fewer than two can compete, or every pair was seen.
    """
    random = random or secrets.SystemRandom()
    known = contestants(base)
    if len(known) < 2:
        raise VarSpacesError(f"Fewer than two ways to run '{base.model}' can be compared.")
    met = Counter(frozenset((vote.a, vote.b)) for vote in votes)
    names = list(known)
    pairs = [p for p in combinations(names, 2) if frozenset(p) not in seen]
    if not pairs:
        raise VarSpacesError("You have judged every pair of this model. Thank you.")
    fewest = min(met[frozenset(pair)] for pair in pairs)
    pair = list(random.choice([p for p in pairs if met[frozenset(p)] == fewest]))
    random.shuffle(pair)
    return Battle(*pair, runs=(known[pair[0]], known[pair[1]]))
