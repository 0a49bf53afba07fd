"""Suites: what is drawn (items with their seeds) and how it is scored (metrics, reference).

A suite is frozen: everything it holds is in its hash, and a change needs a new ``version``. No
torch here, so that suites can be listed and planned at once.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.references.base import Reference
from var_spaces import codecs, methods
from var_spaces.errors import VarSpacesError
from var_spaces.methods import Method

if TYPE_CHECKING:
    import numpy as np


OWN = "own"  # name of the suites that sweep files describe


class Suite(Method):
    """Base class of suites. They have no parameters: everyone runs the same.

    Attributes:
        version: raised whenever anything below changes.
        task: task that all models of the suite must do.
        seed: of all images.
        minutes: rough time for an embedded model on two CPU cores; 0: needs a GPU.
        against_full: every item is also drawn with full cache and plain decoding, and compared.
        downloads: what must be on this machine, one line each; empty for embedded suites.
    """

    kind = "suite"
    version: ClassVar[int]
    task: ClassVar[str]
    seed: ClassVar[int] = 0
    minutes: ClassVar[float] = 0
    against_full: ClassVar[bool] = False
    downloads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def items(self) -> Sequence[Item]:
        """What is drawn, in order. Items of equal inputs stand together: they share a batch.

        Raises:
            VarSpacesError: if a file that must be downloaded is missing; says which and from where.
        """

    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """How it is scored."""

    def reference(self) -> Reference | None:
        """Real images for metrics that compare distributions."""
        return None

    def pictures(self) -> Mapping[str, np.ndarray]:
        """Pixels of the pictures that items name by content hash."""
        return {}

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        """Items that are drawn together, at most ``size``; must not depend on anything else."""
        return list(grouped(self.items(), size))

    @property
    def sha256(self) -> str:
        """Hash of everything the suite fixes."""
        return _hash(self)

    @property
    def protocol(self) -> str:
        """Name, version and hash: results of different protocols are never ranked together."""
        return f"{self.name} v{self.version} {self.sha256[:8]}"


@lru_cache(maxsize=64)
def _hash(suite: Suite) -> str:
    reference = suite.reference()
    fixed = {
        "name": suite.name,
        "version": suite.version,
        "task": suite.task,
        "seed": suite.seed,
        "against_full": suite.against_full,
        "items": [[item.index, dict(item.inputs), dict(item.facts)] for item in suite.items()],
        "metrics": [[metric.version, methods.dump(metric)] for metric in suite.metrics()],
        "reference": None if reference is None else methods.dump(reference),
    }
    return hashlib.sha256(codecs.canonical(fixed).encode()).hexdigest()


def grouped(items: Sequence[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Runs of at most ``size`` items that follow each other in index and have equal inputs.

    They do not depend on the number of processes, so neither do the numbers.
    """
    part: list[Item] = []
    for item in items:
        fits = part and item.inputs == part[0].inputs and item.index == part[-1].index + 1
        if part and (not fits or len(part) == size):
            yield tuple(part)
            part = []
        part.append(item)
    if part:
        yield tuple(part)


def get_suite(name: str) -> Suite:
    """A suite by name.

    Raises:
        UnknownName: if there is none; names the nearest one.
        VarSpacesError: for the one that only a sweep file describes (``own.py``).
    """
    if name == OWN:
        raise VarSpacesError(
            "A suite of one's own is in its sweep file: who has that and its pictures runs it with "
            "python -m leaderboard run --sweep FILE; others can neither draw nor verify it."
        )
    return methods.get("suite", name)()
