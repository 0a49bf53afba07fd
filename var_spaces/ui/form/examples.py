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
# (prompt, seed)
PROMPTS = (
    ("a red apple in soft style", 6),
    ("a butterfly on a blue background", 2),
    ("two green fish", 3),
    ("a dog to the left of a cactus", 1),
    ("a red bus and a blue rabbit", 4),
    ("a castle on a pink background", 6),
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
        scene: a picture that the task starts from, of sprites: background, and its things as
            ``scenes.py`` has them.
        region: that is painted on it; top, left, bottom, right as fractions.
    """

    label: str
    task: str
    inputs: Mapping[str, Any]
    seed: int
    source: Mapping[str, Any] = field(default_factory=dict)
    region: tuple[float, float, float, float] | None = None
    scene: tuple[str, Sequence[tuple]] | None = None


def examples(task: str, card: Card) -> list[Example]:
    """Up to six runs of a task with a model; none for a task that is not known here."""
    make = MAKERS.get(task)
    return make(card) if make else []


def start(task: str, card: Card) -> dict[str, Any]:
    """Inputs of a fresh form: those of the first example, if it needs nothing else."""
    first = next(iter(examples(task, card)), None)
    return dict(first.inputs) if first and not first.source and not first.scene else {}


def _classes(card: Card) -> list[Example]:
    return [
        Example(" · ".join(filter(None, (label, style))), "generate", _inputs(label, style), seed)
        for label, style, seed in _chosen(card)
    ]


def _prompts(card: Card) -> list[Example]:
    return [Example(prompt, "text-to-image", {"prompt": prompt}, seed) for prompt, seed in PROMPTS]


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


APPLE = ("sky", (("red apple", "glossy", 0.8, False),))
PAIR = (
    "cream",
    (("red apple", "glossy", 0.5, False, 0.28, 0.3), ("banana", "soft", 0.5, False, 0.72, 0.7)),
)
CORNER = ("sky", (("red apple", "glossy", 0.5, False, 0.28, 0.3),))
DOG = ("mint", (("dog", "glossy", 0.85, False),))
CASTLE = ("sky", (("castle", "soft", 0.9, False),))
SCENES = (APPLE, PAIR, CORNER, DOG, CASTLE)  # whose pictures are in the gallery


def _instructions(card: Card) -> list[Example]:
    asked = (
        ("make the apple blue", APPLE),
        ("put it on a pink background", DOG),
        ("remove the banana at the bottom right", PAIR),
        ("add a fish at the bottom right", CORNER),
        ("make the castle purple", CASTLE),
        ("duplicate the apple at the bottom right", CORNER),
    )
    return [
        Example(text, "instruct", {"instruction": text}, seed, scene=scene)
        for seed, (text, scene) in enumerate(asked, 1)
    ]


def _painted(card: Card) -> list[Example]:
    corner = (0.45, 0.45, 1.0, 1.0)
    asked = (
        ("a red apple and a dog", PAIR, corner),
        ("a red apple and a key", PAIR, corner),
        ("a castle on a light blue background", APPLE, MIDDLE),
    )
    return [
        Example(
            f"part of it becomes: {text}",
            "paint-prompt",
            {"prompt": text},
            seed,
            scene=scene,
            region=region,
        )
        for seed, (text, scene, region) in enumerate(asked, 1)
    ]


def _controls(card: Card) -> list[Example]:
    asked = (
        ("a castle in flat style", "canny", CASTLE),
        ("a castle on a pink background", "scribble", CASTLE),
        ("a cat on a blue background", "mask", DOG),
        ("a glossy dog", "palette", DOG),
        ("a red apple and a banana", "blur", PAIR),
    )
    known = (card.adapter or {}).get("kinds") or [kind for _, kind, _ in asked]
    return [
        Example(f"{kind}: {text}", "control", {"prompt": text, "control": kind}, seed, scene=scene)
        for seed, (text, kind, scene) in enumerate(asked, 1)
        if kind in known
    ]


def _things(card: Card) -> list[Example]:
    asked = (
        ("a <it> on a blue background", "dog", DOG),
        ("an <it> and a key", "apple", APPLE),
        ("a <it> on a pink background", "castle", CASTLE),
    )
    return [
        Example(
            text.replace("<it>", word), "subject", {"prompt": text, "word": word}, seed, scene=scene
        )
        for seed, (text, word, scene) in enumerate(asked, 1)
    ]


MAKERS: Mapping[str, Callable[[Card], list[Example]]] = {
    "generate": _classes,
    "text-to-image": _prompts,
    "edit": _edits,
    "refine": _refinements,
    "instruct": _instructions,
    "paint-prompt": _painted,
    "control": _controls,
    "subject": _things,
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
