"""Runs to click on: good ones of the embedded models, else a spread of what a model knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from var_spaces.zoo.cards import Card

# (class, style, seed)
CHOSEN = (
    ("red apple", "soft", 7),
    ("sailboat", "flat", 3),
    ("panda", "glossy", 11),
    ("sunflower", "round", 5),
    ("castle", "blob", 2),
    ("butterfly", "soft", 21),
)
PROMPTS = (
    "a red apple in soft style",
    "a butterfly on a blue background",
    "a banana and a key",
    "a sunflower in flat style",
    "a panda with glossy look",
    "a castle on a pink background",
)
LEFT, RIGHT, MIDDLE = (0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 1.0), (0.2, 0.2, 0.8, 0.8)


@dataclass(frozen=True)
class Example:
    """Something to click on.

    Attributes:
        label: what the button says.
        task: of the run.
        inputs: of the task, as a form holds them.
        seed: of the run.
        source: inputs of a run of the same model whose picture the task starts from.
        region: that is painted on it; top, left, bottom, right as fractions.
    """

    label: str
    task: str
    inputs: Mapping[str, Any]
    seed: int
    source: Mapping[str, Any] = field(default_factory=dict)
    region: tuple[float, float, float, float] | None = None


def examples(task: str, card: Card) -> list[Example]:
    """Up to six runs of a task with a model; none for a task that is not known here."""
    make = MAKERS.get(task)
    return make(card) if make else []


def start(task: str, card: Card) -> Mapping[str, Any]:
    """Inputs of a fresh form: those of the first example, if it needs nothing else."""
    first = next(iter(examples(task, card)), None)
    return first.inputs if first and not first.source else {}


def _classes(card: Card) -> list[Example]:
    return [
        Example(" · ".join(filter(None, (label, style))), "generate", _inputs(label, style), seed)
        for label, style, seed in _chosen(card)
    ]


def _prompts(card: Card) -> list[Example]:
    return [
        Example(prompt, "text-to-image", {"prompt": prompt}, seed)
        for seed, prompt in enumerate(PROMPTS, 1)
    ]


def _edits(card: Card) -> list[Example]:
    """A class change in the middle, and one half painted anew to match the other."""
    changes = _chosen(card)
    return [
        Example(
            f"{label} → {target}",
            "edit",
            _inputs(target, style),
            seed,
            source=_inputs(label, style),
            region=MIDDLE,
        )
        for (label, style, seed), (target, _, _) in zip(changes[:2], changes[2:4], strict=False)
    ] + [
        Example(
            f"{label}: {half} half anew",
            "edit",
            _inputs(label, style),
            seed + 1,
            source=_inputs(label, style),
            region=region,
        )
        for (label, style, seed), half, region in zip(
            changes[:2], ("right", "left"), (RIGHT, LEFT), strict=False
        )
    ]


def _refinements(card: Card) -> list[Example]:
    keep = card.schedule.num_scales // 2
    return [
        Example(
            f"{label}: new details",
            "refine",
            {**_inputs(label, style), "keep": keep},
            seed + 1,
            source=_inputs(label, style),
        )
        for label, style, seed in _chosen(card)[:2]
    ]


MAKERS: Mapping[str, Callable[[Card], list[Example]]] = {
    "generate": _classes,
    "text-to-image": _prompts,
    "edit": _edits,
    "refine": _refinements,
}


def _inputs(label: str | None, style: str | None) -> dict[str, str]:
    return {key: value for key, value in (("class", label), ("style", style)) if value}


def _chosen(card: Card) -> Sequence[tuple[str, str | None, int]]:
    known = [
        (label, style, seed)
        for label, style, seed in CHOSEN
        if label in card.classes and style in card.styles
    ]
    return known or _spread(card)


def _spread(card: Card) -> list[tuple[str, str | None, int]]:
    """Classes evenly spaced over the list, with styles in turn."""
    step = max(1, -(-len(card.classes) // len(CHOSEN)))
    styles = card.styles or (None,)
    return [(label, styles[i % len(styles)], i + 1) for i, label in enumerate(card.classes[::step])]
