"""Items of subject suites: every subject in every prompt, plain pictures of its class, and perhaps
one prompt several times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaderboard.item import Item
from leaderboard.subjects.base import Subject
from var_spaces.adapters.subject_layers import IT


@dataclass(frozen=True)
class Asked:
    """A prompt with {} for the subject, and what can be checked of a picture of it."""

    template: str
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What is drawn of one subject.

    Attributes:
        place: set of the subject, see :func:`leaderboard.subjects.subject`.
        prompts: each drawn ``seeds`` times.
        prior: the class alone, drawn ``priors`` times without the picture.
        varied: drawn ``variants`` times; None if the seeds of ``prompts`` tell diversity.
    """

    place: str
    subject: Subject
    prompts: Sequence[Asked]
    prior: Asked
    varied: Asked | None = None
    seeds: int = 1
    priors: int = 4
    variants: int = 4

    def items(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Inputs and facts."""
        groups = (
            ("prompts", self.prompts, self.seeds),
            ("prior", [self.prior], self.priors),
            ("diversity", [self.varied] if self.varied else [], self.variants),
        )
        word = self.subject.word
        for group, prompts, copies in groups:
            for asked in prompts:
                facts = {"group": group, "subject": f"{self.place}/{self.subject.name}"}
                facts |= {"caption": asked.template.format(word), "template": asked.template}
                inputs = {"prompt": asked.template.format(word), "word": word}
                if group != "prior":
                    inputs |= {"prompt": asked.template.format(IT), "source": self.subject.sha256}
                for _ in range(copies):
                    yield inputs, {**facts, **asked.claims}


def items(shown: Sequence[Shown]) -> list[Item]:
    """Items of all subjects, numbered."""
    pairs = [pair for one in shown for pair in one.items()]
    return [Item(number, inputs, facts) for number, (inputs, facts) in enumerate(pairs)]
