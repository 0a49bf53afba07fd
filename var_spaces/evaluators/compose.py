"""Does a picture show what its prompt says? A check of composition on frozen prompts.

After GenEval (https://arxiv.org/abs/2310.11513), with the scene parser in place of a detector: the
prompts come from scenes whose content is known, so the parser's own mistakes can be measured on
pictures of those scenes and are reported beside every result.

    prompts = read_prompts()
    facts = embedded_parser()(pictures)  # one picture per prompt
    report = score(prompts, facts)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.claims import Caption, Facts, Seen, Thing, checks, holds

if TYPE_CHECKING:
    from var_spaces.evaluators.clip import ClipScorer, Pictures

ATLAS = Path(__file__).resolve().parents[2] / "assets" / "atlas"
PROMPTS = ATLAS / "compose_prompts.json"
FORMAT = 1
OVERALL = "overall"
RATES = ("accuracy", "shuffled", "chance")
OTHERS = 25  # pictures of other prompts that a prompt is held against


@dataclass(frozen=True)
class Prompt:
    """A frozen prompt.

    Attributes:
        category: what it tests.
        caption: its text and claims.
        facts: what the scene shows that it was written for.
        scene: that scene's record (see :mod:`var_spaces.training.data.scene`).
    """

    category: str
    caption: Caption
    facts: Facts
    scene: dict[str, Any]

    @property
    def text(self) -> str:
        return self.caption.text

    def to_json(self) -> dict[str, Any]:
        return asdict(self, dict_factory=_said)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Prompt:
        caption, facts = data["caption"], data["facts"]
        things = tuple(Thing(**thing) for thing in caption["things"])
        seen = tuple(Seen(**thing) for thing in facts["things"])
        return cls(
            data["category"],
            Caption(**{**caption, "things": things}),
            Facts(seen, tuple(facts["background"])),
            data["scene"],
        )


def _said(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A record without what it does not say."""
    return {name: value for name, value in items if value is not None}


def read_prompts(per_category: int | None = None, path: Path = PROMPTS) -> list[Prompt]:
    """The frozen prompts, category by category.

    Args:
        per_category: only the first so many of every category.
        path: another file of the same format.

    Raises:
        VarSpacesError: if the file is missing or of another format.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise VarSpacesError(
            f"No prompts in {path}: write them with "
            "python -m var_spaces.training.data.frozen_prompts --out PATH"
        ) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise VarSpacesError(f"{path.name} is not a file of prompts of format {FORMAT}.")
    groups = by_category([Prompt.from_json(item) for item in data["prompts"]])
    return [prompt for group in groups.values() for prompt in group[:per_category]]


def dump(prompts: Sequence[Prompt]) -> str:
    """The text of a file of prompts: one a line."""
    lines = (
        json.dumps(prompt.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for prompt in prompts
    )
    return f'{{"format":{FORMAT},"prompts":[\n ' + ",\n ".join(lines) + "\n]}\n"


def by_category(prompts: Sequence[Prompt]) -> dict[str, list[Prompt]]:
    groups: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        groups.setdefault(prompt.category, []).append(prompt)
    return groups


def score(prompts: Sequence[Prompt], facts: Sequence[Facts]) -> dict[str, dict[str, Any]]:
    """How often pictures show what their prompts say, by category.

    Args:
        facts: what the parser sees in one picture per prompt, in the order of the prompts.

    Returns:
        For every category, and as ``overall`` their mean:

        * ``prompts``: how many there are;
        * ``accuracy``: share (0..1) of pictures of which every claim of the prompt is true;
        * ``shuffled``: the same for the pictures of other prompts of the category;
        * ``chance``: ``accuracy`` of perfect pictures of other prompts of the category, what a
          model reaches that knows the category and ignores the prompt;
        * ``claims``: share of true claims by kind (object, count, colour, ...).

    Raises:
        VarSpacesError: if there is not one picture per prompt.
    """
    if len(prompts) != len(facts):
        raise VarSpacesError(f"{len(facts)} pictures for {len(prompts)} prompts; give one each.")
    groups: dict[str, list[tuple[Prompt, Facts]]] = {}
    for prompt, seen in zip(prompts, facts, strict=True):
        groups.setdefault(prompt.category, []).append((prompt, seen))
    report = {name: _score(*zip(*group, strict=True)) for name, group in groups.items()}
    report[OVERALL] = {
        "prompts": len(prompts),
        **{key: _mean(row[key] for row in report.values()) for key in RATES},
    }
    return report


def _score(prompts: Sequence[Prompt], facts: Sequence[Facts]) -> dict[str, Any]:
    """One category."""
    claims: dict[str, list[bool]] = {}
    for prompt, seen in zip(prompts, facts, strict=True):
        for kind, right in checks(prompt.caption, seen).items():
            claims.setdefault(kind, []).append(right)
    own = [holds(prompt.caption, seen) for prompt, seen in zip(prompts, facts, strict=True)]
    return {
        "prompts": len(prompts),
        "accuracy": _mean(own),
        "shuffled": _of_others(prompts, facts),
        "chance": _of_others(prompts, [prompt.facts for prompt in prompts]),
        "claims": {kind: _mean(hits) for kind, hits in claims.items()},
    }


def _of_others(prompts: Sequence[Prompt], facts: Sequence[Facts]) -> float:
    """How often a prompt is true of the pictures of the prompts that follow it."""
    count = len(prompts)
    return _mean(
        holds(prompt.caption, facts[(i + shift) % count])
        for i, prompt in enumerate(prompts)
        for shift in range(1, min(OTHERS, count - 1) + 1)
    )


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def clip_scores(clip: ClipScorer, images: Pictures, prompts: Sequence[Prompt]) -> dict[str, float]:
    """Mean CLIP score of pictures with their own prompts, and with others of the same category.

    Args:
        images: one picture per prompt, as :meth:`ClipScorer.images` takes them.
    """
    cosines = 100 * clip.similarity(images, [prompt.text for prompt in prompts])
    places: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(prompt.category, []).append(place)
    own, other = [], []
    for group in places.values():
        part = cosines[group][:, group].clamp(min=0)
        own += part.diagonal().tolist()
        for shift in range(1, min(OTHERS, len(group) - 1) + 1):
            other += part.roll(shift, 1).diagonal().tolist()
    return {"matched": _mean(own), "shuffled": _mean(other)}
