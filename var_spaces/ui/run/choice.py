"""What the page keeps of the candidates that a search chose from after a scale."""

from __future__ import annotations

from dataclasses import dataclass

from var_spaces.events import Candidates
from var_spaces.ui.run import pixels

SIDE = 64  # pixels


@dataclass(frozen=True)
class Choice:
    """Candidates of one image after a scale.

    Attributes:
        image: position of the image, from 0.
        why: see :class:`var_spaces.events.Candidates`.
        pictures: data URIs; only those of the first image are kept.
        rewards: one per candidate, or empty.
        times: how often each goes on; 0 is dropped.
    """

    image: int
    why: str
    pictures: tuple[str, ...]
    rewards: tuple[float, ...]
    times: tuple[int, ...]

    @classmethod
    def of(cls, found: Candidates) -> Choice:
        shown = found.previews if found.image == 0 else ()
        return cls(
            image=found.image,
            why=found.why,
            pictures=tuple(pixels.preview(image, SIDE) for image in shown),
            rewards=found.rewards,
            times=tuple(found.kept.count(n) for n in range(len(found.previews))),
        )

    def name(self, number: int) -> str:
        """A candidate by its number, from 1, with its reward."""
        reward = f" ({self.rewards[number]:.2f})" if self.rewards else ""
        return f"{number + 1}{reward}"
