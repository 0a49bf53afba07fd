"""A job: a suite and an entry that go together, checked before any work, and its folder.

    runs/leaderboard/jobs/<suite>-<key>/
        job.json                 what is drawn here
        drawn/000003.safetensors images, tokens and KV bytes of one batch
        drawn/000003.json        its seconds, and where and by what it was drawn
        values/<metric>/000003.npy

Every file appears whole or not at all, and its content does not depend on who writes it; so a job
that was killed continues, and several processes or machines that see the folder share the work.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from leaderboard.entry import Entry
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.suites.base import Suite
from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.paths import made_folder, write_file
from var_spaces.tasks.plan import Plan, plan
from var_spaces.zoo.cards import Card, get_card

WORK = Path("runs") / "leaderboard" / "jobs"
BATCH = 8


@dataclass(frozen=True, eq=False)
class Job:
    """A suite with an entry.

    Args:
        batch: images that share a forward pass where the device allows it, 1 to 64.
        work: folder of the folders of all jobs.
    """

    suite: Suite
    entry: Entry
    batch: int = BATCH
    work: Path = WORK

    @cached_property
    def plans(self) -> list[Plan]:
        """The run of every batch.

        Raises:
            VarSpacesError: if the model cannot draw the suite or its parts do not fit together.
        """
        found = {}
        for items in self.batches:
            key = codecs.canonical(dict(items[0].inputs))
            if key not in found:
                found[key] = plan(self.spec(items))
        return list(found.values())

    @cached_property
    def batches(self) -> list[tuple[Item, ...]]:
        return list(self.suite.batches(self.batch))

    def spec(self, items: tuple[Item, ...]) -> Any:
        """The run spec of a batch."""
        first = items[0]
        return self.entry.spec(
            self.suite.task,
            dict(first.inputs),
            seed=self.suite.seed,
            first=first.index,
            count=len(items),
        )

    @cached_property
    def metrics(self) -> list[tuple[str, Metric]]:
        """Metrics by their folder."""
        named = []
        for metric in self.suite.metrics():
            tail = hashlib.sha256(metric.identity(self.n, None).encode()).hexdigest()[:8]
            named.append((f"{metric.name}-{tail}", metric))
        return named

    @cached_property
    def named(self) -> dict[str, Metric]:
        """Metrics by the name of their scores in a result."""
        reference = self.suite.reference()
        return {metric.identity(self.n, reference): metric for metric in self.suite.metrics()}

    @property
    def timed(self) -> bool:
        """Whether anything here depends on the clock."""
        return any(metric.measured for metric in self.suite.metrics())

    @property
    def n(self) -> int:
        """Images of the suite."""
        return sum(map(len, self.batches))

    @cached_property
    def full(self) -> Job | None:
        """The job that is compared with, if the suite does that."""
        if not self.suite.against_full:
            return None
        return Job(self.suite, self.entry.plain(), self.batch, self.work)

    @cached_property
    def cards(self) -> dict[str, Card]:
        """Cards of all models, what adapters stand beside included, and tokenizers, by id."""
        cards: dict[str, Card] = {}
        for planned in self.plans:
            for card in (planned.card, *planned.extra.values()):
                cards |= {name: get_card(name, "generator") for name in card.lineage}
                cards |= {card.tokenizer: get_card(card.tokenizer, "tokenizer")}
        return dict(sorted(cards.items()))

    @cached_property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights of every model, by id."""
        return {name: digest(card) for name, card in self.cards.items()}

    @cached_property
    def folder(self) -> Path:
        """Where its files lie; jobs that would draw anything else have another folder."""
        key = hashlib.sha256(self._text.encode()).hexdigest()[:16]
        return self.work / f"{self.suite.name}-{key}"

    @property
    def _text(self) -> str:
        asked = {
            "protocol": self.suite.protocol,
            "entry": self.entry.model_dump(mode="json"),
            "weights": self.weights,
            "batch": self.batch,
        }
        return codecs.canonical(asked)

    def check(self) -> None:
        """Refuse before any work what cannot succeed: parts that do not fit, missing downloads."""
        if not 1 <= self.batch <= 64:
            raise VarSpacesError(f"A batch of {self.batch} is out of range: allowed is 1 to 64.")
        reference = self.suite.reference()
        if reference is not None:
            _ = reference.identity
        for metric in self.suite.metrics():
            metric.check(self.n)
        _ = self.named, self.folder

    def open(self) -> None:
        """Make the folder."""
        for name in ("drawn", *(f"values/{folder}" for folder, _ in self.metrics)):
            made_folder(self.folder / name)
        write_file(self.folder / "job.json", self._text.encode() + b"\n")

    def drawn(self, number: int) -> Path:
        """File of the images of a batch."""
        return self.folder / "drawn" / f"{number:06d}.safetensors"

    def seconds(self, number: int) -> Path:
        """File of the time a batch took."""
        return self.folder / "drawn" / f"{number:06d}.json"

    def files(self, number: int) -> list[Path]:
        """All files of a batch, its twin with the full cache included, in the order in which they
        may appear."""
        drawn = [f for j in (self.full, self) if j for f in (j.drawn(number), j.seconds(number))]
        values = [self.values(folder, number) for folder, _ in self.metrics]
        return list(dict.fromkeys([*drawn, *values]))

    def values(self, metric: str, number: int) -> Path:
        """File of the values of a batch under a metric."""
        return self.folder / "values" / metric / f"{number:06d}.npy"


def digest(card: Card) -> str:
    """SHA-256 of the weights of a card."""
    from var_spaces.zoo.locate import digest_of, files_of  # torch comes with it

    return card.weights_sha256 or digest_of(files_of(card))
