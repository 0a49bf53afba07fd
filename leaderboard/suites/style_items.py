"""Items of suites of styles: every picture's content in named styles, its style on named things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaderboard.item import Item
from leaderboard.styles.base import Picture
from var_spaces.adapters.content_style_words import CONTENT, STYLE


@dataclass(frozen=True)
class Prompt:
    """A prompt with ``<content>`` or ``<style>`` in it, or both.

    Attributes:
        facts: what its pictures should show, for metrics.
        seeds: how many are drawn.
    """

    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 1

    @property
    def group(self) -> str:
        """What was learned that it asks for: "content", "style" or "both"."""
        if CONTENT in self.text:
            return "both" if STYLE in self.text else "content"
        return "style"


def items(place: str, drawn: Sequence[tuple[Picture, Sequence[Prompt]]]) -> list[Item]:
    """Items of all pictures, numbered; ``place`` is their set (see ``leaderboard/styles``)."""
    pairs = [pair for picture, prompts in drawn for pair in _of(place, picture, prompts)]
    return [Item(number, inputs, facts) for number, (inputs, facts) in enumerate(pairs)]


def _of(
    place: str, picture: Picture, prompts: Sequence[Prompt]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    words = {"content": picture.content, "style": picture.style}
    shared = {"picture": f"{place}/{picture.name}", "unseen": picture.unseen}
    for prompt in prompts:
        caption = prompt.text.replace(CONTENT, picture.content)
        caption = caption.replace(STYLE, f"{picture.style} style")
        inputs = {"prompt": prompt.text, "source": picture.sha256, **words}
        facts = {"group": prompt.group, "caption": caption, **shared, **prompt.facts}
        for _ in range(prompt.seeds):
            yield inputs, facts
