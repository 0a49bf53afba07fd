"""Exact pairs for editing by instruction: a scene, what is to change, and the scene it becomes.

Row *i* of a stream depends on (recipe, seed, i) only, as scenes and captions do. An instruction
says what changes, and names things so that they can be told apart.

Held out, beside the (concept, style) pairs of ``splits.py``: *combinations*, an operation done to a
certain concept ("recolour" and "lion"), and two operations in one sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import pack, unpack
from var_spaces.training.data.captions import Choices
from var_spaces.training.data.counter import draw
from var_spaces.training.data.instructions import Speaker
from var_spaces.training.data.operations import ANCHORS, OPERATIONS, Step, World
from var_spaces.training.data.recipes import Recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler, atlas_splits
from var_spaces.training.data.scene import Object, Scene
from var_spaces.training.data.words import other_names

TWO = "two"
WEIGHTS: Mapping[str, float] = {
    "add": 1.5, "remove": 1, "replace": 1, "recolour": 1, "restyle": 1, "background": 1, "move": 2,
    "enlarge": 2, "shrink": 1, "duplicate": 2, TWO: 1.5,
}  # fmt: skip
"""How readily an operation is chosen; those that few scenes allow weigh more."""

SPLITS = ("train", "unseen_pairs", "unseen_combinations")
UNSEEN_TOGETHER = (("add", "recolour"), ("background", "replace"))

_ABOUT_CONCEPTS = tuple(name for name in OPERATIONS if name not in ("restyle", "background"))
_HELD_OUT = 0.05
_STREAMS = 240
_SALT = 0x6564_6974  # scenes and what happens to them are drawn independently
_SMALL_ALONE = 0.45  # share of lonely objects that are small, so that they can move and grow
_CENTRED = 0.4  # share of those that stand in the middle
_EMPTY = 0.04  # share of scenes with nothing in them yet


@dataclass(frozen=True)
class Edit:
    """One exact pair.

    Attributes:
        operation: a key of ``OPERATIONS``, or ``"two"``.
        combination: the operation and the concept (style, colour) that it is about, or two
            operations in alphabetical order.
    """

    operation: str
    instruction: str
    source: Scene
    target: Scene
    combination: tuple[str, str]

    @property
    def changed(self) -> tuple[Object, ...]:
        """Objects of either scene that the other one lacks."""
        old, new = self.source.objects, self.target.objects
        gone = (item for item in old if item not in new)
        come = (item for item in new if item not in old)
        return (*gone, *come)


def never_trained(combination: tuple[str, str]) -> bool:
    """Whether a combination is held out; depends on the words only."""
    if combination[1] in OPERATIONS:
        return combination in UNSEEN_TOGETHER
    digest = hashlib.sha256("\n".join(("edit", *combination)).encode()).digest()
    held_out = int.from_bytes(digest[:4], "big") < _HELD_OUT * 2**32
    return held_out and combination[0] in _ABOUT_CONCEPTS


class EditSampler:
    """Draws pairs.

    Args:
        recipe: of the scenes; its split says which (concept, style) pairs may occur before and
            after.
        weights: of every operation by name, and of ``"two"``; None is ``WEIGHTS``.
        synonym: how often another name of a concept is used, 0..1.
        held_out: also draw combinations that are never trained on.

    Raises:
        VarSpacesError: for an operation that does not exist or weights that choose none.
    """

    def __init__(
        self,
        atlas: Atlas,
        recipe: Recipe,
        weights: Mapping[str, float] | None = None,
        *,
        synonym: float = 0.25,
        held_out: bool = False,
    ) -> None:
        self.atlas, self.scenes, self.held_out = atlas, SceneSampler(atlas, recipe), held_out
        self.weights = dict(WEIGHTS if weights is None else weights)
        unknown = sorted(set(self.weights) - set(WEIGHTS))
        if unknown or min(self.weights.values(), default=0) < 0 or not any(self.weights.values()):
            raise VarSpacesError(
                f"Weights of operations are at least 0, one above it, out of {', '.join(WEIGHTS)}"
                f"{': not ' + unknown[0] if unknown else ''}."
            )
        concepts: dict[str, list[str]] = {}
        for concept, style in self.scenes.pairs.tolist():
            concepts.setdefault(atlas.styles[style], []).append(atlas.concepts[concept].name)
        ink = frozenset(word for word, ink in zip(atlas.styles, atlas.ink, strict=True) if ink)
        speaker = Speaker(other_names(atlas.concepts), synonym)
        drawable = {style: tuple(names) for style, names in concepts.items()}
        self.world = World(drawable, ink, recipe, speaker)
        self.splits = atlas_splits(atlas)

    def batch(self, seed: int, start: int, count: int) -> list[Edit]:
        """Pairs ``start`` to ``start + count - 1`` of the stream ``seed``."""
        scenes = unpack(self.atlas, self.scenes.batch(seed, start, count).to("cpu"))
        numbers = draw(seed ^ _SALT, torch.arange(start, start + count), _STREAMS).tolist()
        return [self._edit(scene, Choices(row)) for scene, row in zip(scenes, numbers, strict=True)]

    def split_of(self, edit: Edit) -> str:
        """The one split of ``SPLITS`` that a pair belongs to."""
        for item in (*edit.source.objects, *edit.target.objects):
            if self.splits.split_of(item.concept, item.style) != "train":
                return "unseen_pairs"
        return "unseen_combinations" if never_trained(edit.combination) else "train"

    def _edit(self, scene: Scene, choose: Choices) -> Edit:
        scene = self._varied(scene, choose)
        for operation in self._order(choose):
            made = (
                self._two(scene, choose)
                if operation == TWO
                else self._one(operation, scene, choose)
            )
            if made is not None:
                return made
        raise VarSpacesError(
            "No operation fits the scenes of this recipe: give 'background' or 'recolour' a weight."
        )

    def _varied(self, scene: Scene, choose: Choices) -> Scene:
        """Some lonely objects are small, and some scenes are empty."""
        small, empty = choose.chance(_SMALL_ALONE), choose.chance(_EMPTY)
        place = "middle" if choose.chance(_CENTRED) else choose.one([*ANCHORS])
        if len(scene.objects) != 1 or not (small or empty):
            return scene
        size = self.world.size(choose, small=True)
        item = self.world.at(scene.objects[0], place, size, choose)
        return Scene(scene.background, () if empty else (item,))

    def _order(self, choose: Choices) -> Iterator[str]:
        """All operations that weigh anything, drawn without putting back."""
        left = {name: weight for name, weight in self.weights.items() if weight}
        while left:
            name = choose.weighted(left)
            del left[name]
            yield name

    def _one(self, operation: str, scene: Scene, choose: Choices) -> Edit | None:
        step = self._step(operation, scene, (scene,), choose)
        return step and Edit(operation, step.words, scene, step.scene, (operation, step.about))

    def _two(self, scene: Scene, choose: Choices) -> Edit | None:
        """Two operations that touch different things, in one sentence."""
        names = [name for name in self._order(choose) if name != TWO][:4]
        for one, two in combinations(names, 2):
            together = tuple(sorted((one, two)))
            if never_trained(together) and not self.held_out:
                continue
            first = self._step(one, scene, (scene,), choose)
            second = first and self._step(two, first.scene, (scene, first.scene), choose)
            if second and not first.touched & second.touched:
                words = self.world.speaker.both(first.words, second.words, choose)
                return Edit(TWO, words, scene, second.scene, together)
        return None

    def _step(
        self, operation: str, scene: Scene, seen: tuple[Scene, ...], choose: Choices
    ) -> Step | None:
        step = OPERATIONS[operation](self.world, scene, seen, choose)
        known = step is not None and (self.held_out or not never_trained((operation, step.about)))
        return step if known else None


def render_edits(atlas: Atlas, edits: list[Edit], size: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures of pairs before and after, and where they may differ.

    Returns:
        Sources and targets ``(B, 3, size, size)`` in [-1, 1], and the mask ``(B, 1, size, size)``
        bool: the old and new boxes of all objects that changed, and every pixel that differs.
    """
    device = atlas.sprites.device
    before, after = (
        render(atlas, pack(atlas, scenes).to(device), size)
        for scenes in ([edit.source for edit in edits], [edit.target for edit in edits])
    )
    differs = (before != after).any(1, keepdim=True)
    boxes = torch.stack([_boxes(edit, size) for edit in edits])[:, None]
    return before, after, differs | boxes.to(device)


def _boxes(edit: Edit, size: int) -> Tensor:
    """Union ``(size, size)`` of the boxes of what changed."""
    mask = torch.zeros(size, size, dtype=torch.bool)
    centres = (torch.arange(size) + 0.5) / size
    for item in edit.changed:
        x, y = ((centres - at).abs() <= item.size / 2 for at in (item.cx, item.cy))
        mask |= y[:, None] & x[None]
    return mask
