"""Subjects in embedded text models: things never trained on, from one picture of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.subject import (
    PriorClass,
    PriorLikeness,
    SubjectClass,
    SubjectClipI,
    SubjectClipT,
    SubjectDistance,
    SubjectDiversity,
    SubjectPrompt,
)
from leaderboard.subjects import sheet
from leaderboard.subjects.base import Subject
from leaderboard.suites.base import Suite, grouped
from leaderboard.suites.subject_items import Asked, Shown, items
from var_spaces.evaluators.claims import Caption, Thing
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

ALONE = ("white", "cream", "sky", "pink", "blue", "mint", "green", "lavender", "orange", "grey")
BESIDE = ("red apple", "key", "balloon", "tulip", "crown")
BESIDE_ON = (
    ("banana", "white"),
    ("soccer ball", "sky"),
    ("mushroom", "cream"),
    ("wrapped gift", "pink"),
    ("lemon", "blue"),
)
VARIANTS = 4
WORDS = {"sky": "sky blue", "mint": "light green", "lavender": "light purple"}


@register
class EmbeddedSubject(Suite):
    """16 things, 20 prompts each: on ten backgrounds, beside five others, and both. Four plain
    pictures of every class and four seeds of one prompt besides."""

    name = "embedded-subject"
    title = "Subjects, embedded text models, 448 images"
    paper = "https://arxiv.org/abs/2208.12242"

    version = 3
    task = "subject"
    minutes = 4

    def items(self) -> Sequence[Item]:
        return list(_items())

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        """Seeds of one prompt stand together, whatever size is asked for."""
        return list(grouped(self.items(), VARIANTS))

    def metrics(self) -> tuple[Metric, ...]:
        return (
            SubjectClipI(), SubjectDistance(), SubjectClass(), SubjectPrompt(), SubjectClipT(),
            PriorLikeness(), PriorClass(), SubjectDiversity(), KvPeak(), Latency(),
        )  # fmt: skip

    def pictures(self) -> Mapping[str, np.ndarray]:
        return {one.sha256: one.pictures[0] for one in sheet.subjects()}


@lru_cache(maxsize=1)
def _items() -> tuple[Item, ...]:
    return tuple(items([_shown(one) for one in sheet.subjects()]))


def _shown(subject: Subject) -> Shown:
    it = Thing(subject.word)
    first = "an {}" if subject.word[0] in "aeiou" else "a {}"
    prompts = [_asked(f"{first}{_on(colour)}", [it], colour) for colour in ALONE]
    prompts += [_asked(f"{first} and a {other}", [it, Thing(other)]) for other in BESIDE]
    prompts += [
        _asked(f"{first} and a {other}{_on(colour)}", [it, Thing(other)], colour)
        for other, colour in BESIDE_ON
    ]
    return Shown(
        "embedded",
        subject,
        prompts,
        prior=_asked(f"a picture of {first}", [it]),
        varied=_asked(f"a picture of {first}", [it]),
        variants=VARIANTS,
    )


def _on(colour: str) -> str:
    words = WORDS.get(colour, colour)
    return f" on {'an' if words[0] in 'aeiou' else 'a'} {words} background"


def _asked(template: str, things: list[Thing], background: str | None = None) -> Asked:
    return Asked(template, {"claims": asdict(Caption(template, tuple(things), background))})
