"""An endless, seekable stream of random scenes: row i depends on (recipe, seed, i) only."""

from __future__ import annotations

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import SceneBatch, background_colours, unpack
from var_spaces.training.data.counter import below, chance, choose, cumulative, draw
from var_spaces.training.data.palette import BACKGROUNDS, HUES
from var_spaces.training.data.recipes import Recipe
from var_spaces.training.data.scene import Scene
from var_spaces.training.data.splits import Splits, table_splits
from var_spaces.training.data.tables import (
    GRID,
    ink_tables,
    inverse,
    layout_tables,
    pair_tables,
)

# Never lower these: a stream number is part of what every seed means.
_STREAMS_PER_SCENE, _STREAMS_PER_SLOT = 8, 12


def atlas_splits(atlas: Atlas) -> Splits:
    """The held-out sets of an atlas."""
    names = [concept.name for concept in atlas.concepts]
    table = atlas.table.tolist()
    return table_splits(names, atlas.styles, table, atlas.core64, atlas.easy_styles)


class SceneSampler:
    """Draws scenes of a recipe.

    Attributes:
        concepts: (number of classes,) concept ids in label order.
        styles: (number of styles,) style ids in label order.
        pairs: (P, 2) int64, the (concept id, style id) pairs that may occur, sorted by style.
    """

    def __init__(self, atlas: Atlas, recipe: Recipe) -> None:
        """Raises VarSpacesError when a name is unknown or no pair is left in the split."""
        self.atlas, self.recipe = atlas, recipe
        names = recipe.concepts or tuple(concept.name for concept in atlas.concepts)
        self.concepts = torch.tensor([atlas.concept_id(name) for name in names])
        self.styles = torch.tensor([atlas.style_id(word) for word in recipe.styles])
        self.pairs = self._allowed_pairs()
        self._tables: dict[str, dict[str, Tensor]] = {}

    def _allowed_pairs(self) -> Tensor:
        atlas, recipe, splits = self.atlas, self.recipe, atlas_splits(self.atlas)
        pairs = [
            (concept, style)
            for style in self.styles.tolist()
            for concept in self.concepts.tolist()
            if atlas.table[concept, style] >= 0
            and recipe.split
            in ("all", splits.split_of(atlas.concepts[concept].name, atlas.styles[style]))
        ]
        if not pairs:
            raise VarSpacesError(
                f"The split '{recipe.split}' holds no pair of this recipe's concepts and styles."
            )
        return torch.tensor(pairs)

    def batch(
        self, seed: int, start: int, count: int, device: torch.device | str = "cpu"
    ) -> SceneBatch:
        """Rows ``start`` to ``start + count - 1`` of the stream ``seed``, as tensors.

        Equal on every device. ``start`` may be any position of 0 or more; nothing is drawn
        before it. Raises VarSpacesError when ``start`` is below 0 or ``count`` below 1.
        """
        if start < 0 or count < 1:
            raise VarSpacesError(f"Rows {start} + {count}: start is at least 0, count at least 1.")
        rows = torch.arange(start, start + count, device=device)
        slots = self.recipe.slots
        numbers = draw(seed, rows, _STREAMS_PER_SCENE + slots * _STREAMS_PER_SLOT)
        scene = numbers[:, :_STREAMS_PER_SCENE]
        each = numbers[:, _STREAMS_PER_SCENE:].reshape(count, slots, _STREAMS_PER_SLOT)
        tables = self._on(rows.device)
        objects = choose(scene[:, 0].contiguous(), tables["counts"]) + 1
        used = torch.arange(slots, device=rows.device) < objects[:, None]
        background = self._backgrounds(scene[:, 1:4], tables)
        concept, style = self._contents(scene[:, 4], each, tables)
        alike = chance(scene[:, 6], self.recipe.same_concept)[:, None]
        usual = chance(scene[:, 7], self.recipe.usual)
        if self.recipe.usual:
            usual |= alike[:, 0]
        place = self._places(objects, scene[:, 5], usual, each, tables)
        tint, ink = self._recolour(style, background, each, tables)
        concept, style, tint = (
            torch.where(alike, ids[:, :1], ids) for ids in (concept, style, tint)
        )
        ink = torch.where(alike[..., None], ink[:, :1], ink)
        flip = chance(each[..., 5], self.recipe.flip)
        sprite = tables["sprites"][concept, style]
        return SceneBatch(
            background,
            background_colours(background),
            *(torch.where(used, ids, -1) for ids in (sprite, concept, style)),
            *(
                torch.where(used, (value.double() / GRID).float(), empty)
                for value, empty in zip(place, (0.5, 0.5, 1.0), strict=True)
            ),
            flip & used,
            torch.where(used, tint, -1),
            torch.where(used[..., None], ink, -1.0),
        )

    def scene(self, seed: int, index: int) -> Scene:
        """The record of one row; packed and rendered it gives the pixels of that row."""
        return unpack(self.atlas, self.batch(seed, index, 1))[0]

    def names(self) -> tuple[list[str], list[str]]:
        """Names of classes and styles in label order."""
        classes = [self.atlas.concepts[i].name for i in self.concepts.tolist()]
        return classes, [self.atlas.styles[i] for i in self.styles.tolist()]

    def labels(self, batch: SceneBatch) -> tuple[Tensor, Tensor]:
        """Class and style of the first object, both (B,) int64, counted in the recipe's order."""
        concepts, styles = self.slot_labels(batch)
        return concepts[:, 0], styles[:, 0]

    def slot_labels(self, batch: SceneBatch) -> tuple[Tensor, Tensor]:
        """The same of every object, both (B, K), -1 in empty slots."""
        tables = self._on(batch.concept.device)
        parts = (("class_of", batch.concept), ("style_of", batch.style))
        return tuple(torch.where(ids >= 0, tables[name][ids], -1) for name, ids in parts)

    def _backgrounds(self, numbers: Tensor, tables: dict[str, Tensor]) -> Tensor:
        both = tables["background_ids"][choose(numbers[:, :2].contiguous(), tables["backgrounds"])]
        graded = chance(numbers[:, 2], self.recipe.gradient)
        return torch.where(graded[:, None], both, both[:, :1])

    def _contents(
        self, shared: Tensor, each: Tensor, tables: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Concept and style ids, (B, K). With a shared style, later objects keep the first's."""
        pairs = tables["pairs"]
        choice = below(each[..., 0], pairs.shape[0])
        first = pairs[choice[:, :1], 1]
        within = tables["first"][first] + below(each[..., 0], tables["length"][first])
        together = chance(shared, self.recipe.same_style)[:, None].repeat(1, each.shape[1])
        together[:, 0] = False
        chosen = pairs[torch.where(together, within, choice)]
        return chosen[..., 0], chosen[..., 1]

    def _places(
        self,
        objects: Tensor,
        layout: Tensor,
        usual: Tensor,
        each: Tensor,
        tables: dict[str, Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Centres and sizes in units of 1/GRID, (B, K); the whole sprite stays in the image."""
        recipe, slots = self.recipe, each.shape[1]
        layouts = below(layout, tables["layouts"][objects]) + tables["layout_start"][objects]
        layouts = torch.where(usual, tables["usual"][objects], layouts)
        anchor = tables["anchors"][layouts, :slots]
        alone = (objects == 1)[:, None]
        sizes = zip(_units(recipe.size), _units(recipe.small_size), strict=True)
        low, high = (torch.where(alone, large, small) for large, small in sizes)
        # A centre object leaves its neighbours less room: the three take the smaller third.
        crowded = tables["crowded"][layouts][:, None]
        high = torch.where(crowded, low + (high - low) // 3, high)
        size = low + below(each[..., 1], high - low + 1)
        jitter = torch.where(alone, round(recipe.jitter * GRID), round(recipe.small_jitter * GRID))
        half = (size + 1) // 2
        centre = [
            torch.clamp(
                anchor[..., axis] + below(each[..., 2 + axis], 2 * jitter + 1) - jitter,
                min=half,
                max=GRID - half,
            )
            for axis in (0, 1)
        ]
        return centre[0], centre[1], size

    def _recolour(
        self, style: Tensor, background: Tensor, each: Tensor, tables: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Hue ids (B, K) or -1, and ink colours (B, K, 3) or -1."""
        inked = tables["ink_style"][style]
        tinted = chance(each[..., 4], self.recipe.tint) & ~inked
        tint = torch.where(tinted, below(each[..., 6], len(HUES)), -1)
        behind = background[:, :1], background[:, 1:]
        fitting = tables["ink_count"][behind]
        other = chance(each[..., 7], self.recipe.inks)
        number = torch.where(other, below(each[..., 8], fitting), 0)
        ink = tables["inks"][tables["ink_ids"][(*behind, number)]]
        return tint, torch.where(inked[..., None], ink, -1.0)

    def _on(self, device: torch.device) -> dict[str, Tensor]:
        """The lookup tables on a device, made once."""
        if str(device) not in self._tables:
            tables = self._table_contents()
            self._tables[str(device)] = {name: table.to(device) for name, table in tables.items()}
        return self._tables[str(device)]

    def _table_contents(self) -> dict[str, Tensor]:
        atlas, recipe = self.atlas, self.recipe
        names = list(BACKGROUNDS)
        return {
            "counts": cumulative(recipe.counts),
            "backgrounds": cumulative(recipe.backgrounds.values()),
            "background_ids": torch.tensor([names.index(name) for name in recipe.backgrounds]),
            "sprites": atlas.table.cpu(),
            "ink_style": torch.tensor(atlas.ink),
            "class_of": inverse(self.concepts, len(atlas.concepts)),
            "style_of": inverse(self.styles, len(atlas.styles)),
            **pair_tables(self.pairs, len(atlas.styles)),
            **layout_tables(),
            **ink_tables(),
        }


def _units(lengths: tuple[float, float]) -> tuple[int, int]:
    return round(lengths[0] * GRID), round(lengths[1] * GRID)
