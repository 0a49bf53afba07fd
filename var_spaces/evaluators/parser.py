"""The scene parser at work: pictures to facts that a prompt can be checked against."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from var_spaces.evaluators.claims import Facts, Seen
from var_spaces.evaluators.folder import EVALUATORS, fill, read_card
from var_spaces.evaluators.parser_network import (
    NONE,
    PLACES,
    SIDE,
    Labels,
    Parser,
    ParserConfig,
)
from var_spaces.evaluators.pixels import as_batch

if TYPE_CHECKING:
    from var_spaces.evaluators.clip import Pictures

BATCH = 64


class SceneParser:
    """A loaded parser.

    Attributes:
        network: the module.
        card: its vocabulary (``concepts``, ``styles``, ``colours``, ``backgrounds``), training and
            accuracy on real scenes and reconstructions.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        """Raises VarSpacesError if the folder holds no parser."""
        self.card: dict[str, Any] = read_card(folder)
        config = ParserConfig(**self.card["architecture"])
        self.network: Parser = fill(Parser(config), folder).to(device)
        self.device = torch.device(device)

    @torch.no_grad()
    def labels(self, images: Pictures, batch: int = BATCH) -> Labels:
        """The most likely ids of every picture (see :class:`Labels`), on the CPU."""
        parts = [
            self.network(as_batch(images[at : at + batch], SIDE).to(self.device))
            for at in range(0, len(images), batch)
        ]
        return Labels(*(torch.cat(kind).argmax(-1).cpu() for kind in zip(*parts, strict=True)))

    @torch.no_grad()
    def surest(self, images: Pictures) -> dict[str, tuple[str, float]]:
        """Concept and style of the one thing that pictures show together, and how likely they are.

        The mean over the pictures of the probabilities at the place where a thing is likeliest.
        """
        found = self.network(as_batch(images, SIDE).to(self.device))
        concepts = found.concept.softmax(-1)[..., 1:]
        rows = torch.arange(len(concepts), device=self.device)
        place = concepts.amax(-1).argmax(-1)
        likely = {
            "concept": (self.card["concepts"], concepts[rows, place].mean(0)),
            "style": (self.card["styles"], found.style.softmax(-1)[rows, place].mean(0)),
        }
        return {
            kind: (names[int(shares.argmax())], float(shares.max()))
            for kind, (names, shares) in likely.items()
        }

    def __call__(self, images: Pictures) -> list[Facts]:
        """Facts of pictures: a float tensor ``(B, 3, H, W)`` in [-1, 1], uint8 arrays ``(H, W, 3)``
        or PIL images of any size."""
        return self.facts(self.labels(images)) if len(images) else []

    def facts(self, labels: Labels) -> list[Facts]:
        """Ids in words."""
        return [self._facts(*row) for row in zip(*(kind.tolist() for kind in labels), strict=True)]

    def _facts(
        self, concept: list[int], style: list[int], colour: list[int], background: list[int]
    ) -> Facts:
        card = self.card
        things = tuple(
            Seen(
                concept=card["concepts"][concept[slot] - 1],
                style=card["styles"][style[slot]],
                colour=card["colours"][colour[slot] - 1] if colour[slot] else None,
                place=place,
            )
            for slot, place in enumerate(PLACES)
            if concept[slot] != NONE
        )
        top, bottom = (card["backgrounds"][i] for i in background)
        return Facts(things, (top, bottom))


@cache
def embedded_parser(device: str = "cpu", folder: Path | None = None) -> SceneParser:
    """The parser of this project, loaded when it is first asked for and shared from then on."""
    return SceneParser(folder or EVALUATORS / "parser", device)
