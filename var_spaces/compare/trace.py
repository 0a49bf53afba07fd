"""What a comparison keeps of a run: tokens and picture after every scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from var_spaces.events import Event, Finished, ScaleDone, Started
from var_spaces.spec import RunSpec


@dataclass(eq=False)
class Trace:
    """The first image of a run, scale by scale; :meth:`note` its events.

    Attributes:
        tokenizer: id of the tokenizer; tokens of different ones cannot be compared.
        sizes: ``(h, w)`` of the token maps that were drawn.
        ids: tokens of every scale, ``(l,)`` or ``(l, d)`` int64.
        pictures: after every scale, ``(H, W, 3)`` uint8; the finished image last.
    """

    tokenizer: str
    spec: RunSpec | None = None
    sizes: list[tuple[int, int]] = field(default_factory=list)
    ids: list[np.ndarray] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Keep what an event tells."""
        match event:
            case Started():
                self.spec = event.spec
            case ScaleDone():
                self.sizes.append(tuple(event.size))
                self.ids.append(event.ids[0].cpu().numpy())
                if event.preview is not None:
                    self.pictures.append(event.preview[0])
            case Finished():
                self.pictures[-1:] = [event.images[0]]
