"""Frozen prompts of the check of composition, with the scenes that they were written for.

They are kept as records rather than as a seed, so that no later change of sampler or captions can
change them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from var_spaces.evaluators.claims import POSITIONS, Caption, Facts, Seen
from var_spaces.evaluators.compose import Prompt, dump
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.captions import CaptionRecipe, CaptionWriter, colour_name
from var_spaces.training.data.distinct import SEEN, tint_differences
from var_spaces.training.data.recipes import COMPOSED, EASY, Recipe
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.scene import Scene

SEED = 7_000_100  # and following ones; never a training seed
PER_CATEGORY = 100
DRAWN = 300  # scenes that a category chooses from

SILENT = CaptionRecipe(background=0, style=0, place=0, colour=1)
ALONE = replace(COMPOSED, counts=(1.0, 0.0, 0.0), tint=0.0)
TWO = replace(COMPOSED, counts=(0.0, 1.0, 0.0), same_concept=0.0, tint=0.0)
SEVERAL = replace(COMPOSED, counts=(0.0, 0.5, 0.5), same_concept=1.0, tint=0.0)


@dataclass(frozen=True)
class Category:
    """How the prompts of one category come about: scenes, what is said of them, which are kept."""

    scenes: Recipe
    said: CaptionRecipe = SILENT
    kept: Callable[[Caption], bool] = field(default=lambda caption: True)


def _two_concepts(caption: Caption) -> bool:
    return len({thing.concept for thing in caption.things}) == 2


def _placed(caption: Caption) -> bool:
    places = caption.relation or any(thing.place for thing in caption.things)
    return _two_concepts(caption) and bool(places)


def _two_colours(caption: Caption) -> bool:
    return _two_concepts(caption) and len({thing.colour for thing in caption.things}) == 2


CATEGORIES: dict[str, Category] = {
    "object": Category(ALONE),
    "two objects": Category(TWO, kept=_two_concepts),
    "count": Category(SEVERAL),
    "colour": Category(replace(ALONE, tint=1.0)),
    "two colours": Category(replace(TWO, tint=1.0), kept=_two_colours),
    "position": Category(TWO, replace(SILENT, place=1), _placed),
    "background": Category(ALONE, replace(SILENT, background=1)),
    "style": Category(ALONE, replace(SILENT, style=1)),
    "unseen style": Category(replace(ALONE, split="unseen_pairs"), replace(SILENT, style=1)),
    "easy": Category(EASY, replace(SILENT, background=1, style=1)),
}
"""``unseen style`` asks for (concept, style) pairs that are never trained on; ``easy`` for object,
style and background together, from the easy recipe."""


def make_prompts(
    atlas: Atlas, seed: int = SEED, per_category: int = PER_CATEGORY, drawn: int = DRAWN
) -> list[Prompt]:
    """The prompts of all categories, no text twice.

    Every colour that is asked for can be told apart from all others and from the thing's own (see
    :mod:`.distinct`).

    Args:
        seed: of the first category; the others have those that follow.
        per_category: most prompts of each.
        drawn: scenes that a category chooses from.
    """
    prompts = []
    for own_seed, (name, category) in enumerate(CATEGORIES.items(), seed):
        sampler = SceneSampler(atlas, category.scenes)
        scenes = unpack(atlas, sampler.batch(own_seed, 0, drawn))
        captions = CaptionWriter(atlas, category.said).batch(scenes, own_seed, 0)
        least = tint_differences(atlas, scenes)
        found: dict[str, Prompt] = {}
        for scene, caption, difference in zip(scenes, captions, least, strict=True):
            if category.kept(caption) and difference >= SEEN:
                record = json.loads(scene.to_json())
                found.setdefault(caption.text, Prompt(name, caption, facts_of(scene), record))
        prompts += list(found.values())[:per_category]
    return prompts


def facts_of(scene: Scene) -> Facts:
    """What a scene shows, in the words of the parser."""
    things = tuple(
        Seen(item.concept, item.style, nearest_place(item.cx, item.cy), colour_name(item))
        for item in scene.objects
    )
    return Facts(things, scene.colours)


def nearest_place(cx: float, cy: float) -> str:
    """Name of the place that a centre is nearest to."""
    return min(
        POSITIONS,
        key=lambda name: sum(
            (centre - 0.25 - at / 4) ** 2
            for centre, at in zip((cx, cy), POSITIONS[name], strict=True)
        ),
    )


def main(argv: list[str] | None = None) -> int:
    """Command line entry. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the frozen prompts.")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(argv)
    prompts = make_prompts(Atlas.load())
    options.out.write_text(dump(prompts), encoding="utf-8")
    print(f"wrote {len(prompts)} prompts")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
