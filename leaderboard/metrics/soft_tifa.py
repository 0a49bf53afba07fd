"""Soft-TIFA, the score of GenEval 2: how probable a model that looks holds every part of a prompt.

Kamath et al. 2025 (arXiv 2512.16853). A prompt comes with a question and its answer for each part.
The geometric mean over the questions of an image tells whether the prompt as a whole is there, the
arithmetic mean how many of its parts; both are averaged over prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Batch, Context, Value
from leaderboard.metrics.bootstrap import mean_interval
from leaderboard.metrics.looking import Looking
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures

ASK = "{} Answer in one word."
DIGITS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}
SKILLS = ("object", "attribute", "count", "position", "verb", "other")
LEAST = 1e-12  # a probability of nothing would make the geometric mean of all of it nothing


class SoftTifa(Looking):
    """Base class of both means, 0..100."""

    paper = "https://arxiv.org/abs/2512.16853"
    better = "higher"
    facts = ("questions", "atoms")

    extractor: str = Field("qwen3-vl-8b", description="a model that answers questions")

    def answers(self, batch: Batch, context: Context) -> list[np.ndarray]:
        """Probabilities of the right answers, an array per image; asked once for both means."""
        network = context.network(self.uses)

        def look() -> list[np.ndarray]:
            return [
                np.array(
                    [
                        network.probability(image, ASK.format(q["text"]), spellings(q["answer"]))
                        for q in item.facts["questions"]
                    ]
                )
                for item, image in zip(batch.items, batch.images, strict=True)
            ]

        return context.once(f"{self.uses.name} answers", batch.images, look)


@register
class SoftTifaGm(SoftTifa):
    """Geometric mean, by prompt. Details: prompts of as many parts."""

    name = "soft-tifa-gm"
    title = "GenEval 2, Soft-TIFA GM"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """Per image: the mean, and the number of parts."""
        means = [geometric_mean(found) for found in self.answers(batch, context)]
        return np.array(
            [[100 * m, item.facts["atoms"]] for m, item in zip(means, batch.items, strict=True)]
        )

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        means, atoms = values.T
        details = {
            f"{int(count)} parts": float(means[atoms == count].mean()) for count in np.unique(atoms)
        }
        return Value(float(means.mean()), *mean_interval(means), details)


@register
class SoftTifaAm(SoftTifa):
    """Arithmetic mean, by part. Details: all parts that ask for a skill."""

    name = "soft-tifa-am"
    title = "GenEval 2, Soft-TIFA AM"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """Per image: the mean, then sum and number of the parts of every skill."""
        rows = []
        for item, found in zip(batch.items, self.answers(batch, context), strict=True):
            asked = np.array([_skill(q["skill"]) for q in item.facts["questions"]])
            parts = [100 * found[asked == number] for number in range(len(SKILLS))]
            sums = [value for part in parts for value in (part.sum(), len(part))]
            rows.append([100 * found.mean(), *sums])
        return np.array(rows)

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        means, sums, counts = values[:, 0], values[:, 1::2].sum(0), values[:, 2::2].sum(0)
        details = {
            skill: float(total / count)
            for skill, total, count in zip(SKILLS, sums, counts, strict=True)
            if count
        }
        return Value(float(means.mean()), *mean_interval(means), details)


def geometric_mean(found: np.ndarray) -> float:
    """Of probabilities."""
    return float(np.exp(np.log(found.clip(LEAST)).mean()))


def spellings(answer: str) -> Sequence[str]:
    """The ways to write an answer that count: small and capital, with and without a space before,
    numbers also as digits."""
    word = answer.strip().lower()
    ways = [word, word.capitalize(), f" {word}", f" {word.capitalize()}"]
    return (*ways, DIGITS[word], f" {DIGITS[word]}") if word in DIGITS else tuple(ways)


def _skill(name: str) -> int:
    return SKILLS.index(name) if name in SKILLS else len(SKILLS) - 1
