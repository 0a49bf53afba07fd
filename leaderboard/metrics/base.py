"""Metrics: first some numbers per image, then one number of them all.

``measure`` looks at a batch and returns its values, which go to a file; ``score`` reads the values
of all images, in the order of the suite. So a run can stop anywhere and continue, several processes
share the work, and the result does not depend on who measured what.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from var_spaces import methods
from var_spaces.methods import Method

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor, Network
    from leaderboard.item import Item
    from leaderboard.references.base import RealFeatures, Reference


@dataclass(frozen=True, eq=False)
class Cost:
    """What drawing a batch took. Seconds depend on the machine, bytes do not (except ``peak``).

    Attributes:
        seconds: wall clock of the batch.
        kv_bytes, kv_full_bytes: per scale, what the cache holds per image, and what all would be.
        peak_bytes: largest memory of the device, weights included; 0 where it is not known.
    """

    seconds: float
    kv_bytes: tuple[int, ...]
    kv_full_bytes: tuple[int, ...]
    peak_bytes: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Some drawn images.

    Attributes:
        items: what was asked for.
        images: ``(B, H, W, 3)`` uint8.
        tokens: ids of all scales in order, ``(B, L)`` or ``(B, L, d)`` int64.
        cost: what it took.
        full: the same items with full cache and plain decoding, if the suite draws them.
    """

    items: tuple[Item, ...]
    images: np.ndarray
    tokens: np.ndarray
    cost: Cost
    full: Batch | None = None


@dataclass
class Context:
    """What is there to measure with; loaded on first use.

    Attributes:
        device: of extractors.
        pictures: of the suite, by content hash.
        reconstruct: pictures ``(B, H, W, 3)`` uint8 as the entry's tokenizer gives them back.
    """

    device: Any
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    reconstruct: Callable[[np.ndarray], np.ndarray] | None = None
    _networks: dict[str, Any] = field(default_factory=dict)
    _seen: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def network(self, extractor: Extractor) -> Network:
        """A loaded extractor, loaded once."""
        if extractor.name not in self._networks:
            self._networks[extractor.name] = extractor.load(self.device)
        return self._networks[extractor.name]

    def features(self, extractor: Extractor, images: np.ndarray) -> np.ndarray:
        """Features of a batch, computed once for all metrics that look at it in turn."""
        return self.once(extractor.name, images, lambda: self.network(extractor)(images))

    def once(self, name: str, images: np.ndarray, look: Callable[[], Any]) -> Any:
        """What ``look`` finds in a batch, remembered under a name until another batch comes."""
        seen, found = self._seen.get(name, (None, None))
        if seen is not images:
            found = look()
            self._seen[name] = (images, found)
        return found


@dataclass(frozen=True)
class Value:
    """A score before it gets its name: see ``result.Score``."""

    value: float
    low: float | None = None
    high: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Metric(Method):
    """Base class of metrics.

    Attributes:
        version: raised when the formula changes.
        better: "higher" or "lower".
        unit: of the value.
        measured: the value depends on the machine: it is a cost, not a score.
        compares: needs the run with the full cache (``Batch.full``).
        needs_reference: needs real images.
        facts: keys of an item's facts that are read.
    """

    kind = "metric"
    version: ClassVar[int] = 1
    better: ClassVar[str]
    unit: ClassVar[str] = ""
    measured: ClassVar[bool] = False
    compares: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = False
    facts: ClassVar[tuple[str, ...]] = ()

    @property
    def uses(self) -> Extractor | None:
        """The extractor behind it."""
        return None

    @property
    def short(self) -> str:
        """The title of its column, without N."""
        return self.title

    def identity(self, n: int, reference: Reference | None) -> str:
        """Everything that makes two values comparable, as one line of text."""
        parts = [f"{self.name}@{self.version}", *self.settings()]
        if self.uses is not None:
            parts.append(f"[{self.uses.identity}]")
        if self.needs_reference and reference is not None:
            parts.append(f"ref={reference.identity}")
        return " ".join([*parts, f"N={n}"])

    def settings(self) -> list[str]:
        """Parameters that are not told otherwise, for the identity."""
        data = methods.dump(self)  # without what came later and is as it always was
        return [f"{k}={v}" for k, v in data.items() if k not in ("name", "extractor")]

    def heading(self, n: int) -> str:
        """Title of its column; small N biases some metrics, so those say it."""
        return self.short

    def check(self, n: int) -> None:
        """Refuse, before any work, a number of images that it cannot score."""

    @abstractmethod
    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """Values of a batch, ``(B,)`` or ``(B, d)``."""

    @abstractmethod
    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        """One number of the values of all images, ``(N,)`` or ``(N, d)``, in their order."""
