"""What is never trained on: pairs, concepts and one style, fixed by the hash of their names.

Nothing here depends on a random generator, an id or an order, only on names: the splits stay what
they are when the atlas is built again, and another program can recompute them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

SPLITS = ("train", "unseen_pairs", "unseen_concepts", "unseen_style", "all")
UNSEEN_STYLE = "fox"
UNSEEN_SHARE = 0.05


@dataclass(frozen=True)
class Splits:
    """The held-out sets, by name: concepts, (concept, style) pairs, and one style."""

    concepts: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    style: str

    def split_of(self, concept: str, style: str) -> str:
        """The one split of SPLITS (other than ``all``) that a pair belongs to."""
        if style == self.style:
            return "unseen_style"
        if concept in self.concepts:
            return "unseen_concepts"
        return "unseen_pairs" if (concept, style) in self.pairs else "train"


def table_splits(
    concepts: Sequence[str],
    styles: Sequence[str],
    table: Sequence[Sequence[int]],
    core64: Sequence[int],
    easy_styles: Sequence[int],
) -> Splits:
    """Split what an atlas can draw; ``table`` holds -1 where a concept lacks a style."""
    pairs = [
        (concept, style)
        for concept, row in zip(concepts, table, strict=True)
        for style, sprite in zip(styles, row, strict=True)
        if sprite >= 0
    ]
    return make_splits(pairs, [concepts[i] for i in core64], [styles[i] for i in easy_styles])


def make_splits(
    pairs: Iterable[tuple[str, str]], easy_concepts: Sequence[str], easy_styles: Sequence[str]
) -> Splits:
    """Split all drawable (concept, style) pairs.

    5 % of the concepts outside the easy subset are unseen; of the pairs that remain 5 % are
    unseen, counted apart inside the easy subset (16 of 320) and outside it.
    """
    pairs = [pair for pair in pairs if pair[1] != UNSEEN_STYLE]
    every = dict.fromkeys(concept for concept, _ in pairs)
    candidates = [concept for concept in every if concept not in easy_concepts]
    concepts = frozenset(
        _lowest(candidates, _share(len(every)), key=lambda name: ("concept", name))
    )

    left = [pair for pair in pairs if pair[0] not in concepts]
    easy = [pair for pair in left if pair[0] in easy_concepts and pair[1] in easy_styles]
    inside = set(easy)
    rest = [pair for pair in left if pair not in inside]
    unseen = _spread(easy, _share(len(easy))) + _spread(rest, _share(len(rest)))
    return Splits(concepts, frozenset(unseen), UNSEEN_STYLE)


def _share(count: int) -> int:
    return round(count * UNSEEN_SHARE)


def _hash(words: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def _lowest(items: list[str], count: int, key: Callable[[str], tuple[str, ...]]) -> list[str]:
    return sorted(items, key=lambda item: _hash(key(item)))[:count]


def _spread(pairs: list[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """The ``count`` pairs of lowest hash, at most one per concept so that each stays trained."""
    chosen: list[tuple[str, str]] = []
    used: Counter[str] = Counter()
    for pair in sorted(pairs, key=lambda pair: _hash(("pair", *pair))):
        if len(chosen) < count and not used[pair[0]]:
            chosen.append(pair)
            used[pair[0]] += 1
    return chosen
