"""The content of one picture with the style of another: both were learned apart (CSD-VAR)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    from var_spaces.zoo.cards import Card

SHAPES = ("text_rows", "rank", "slots", "content_scale")
STYLE, CONTENT = 0, 1  # in the memory


def recombine(content: Card, style: Card, folder: Path) -> str:
    """Write the model folder of a pair.

    The rows of content and its memory are those of the one model; rows of style, the directions
    that were taken out of them and their memory those of the other.

    Args:
        content, style: models that were learned on the same base in the same shapes.

    Returns:
        Digest of the weights.

    Raises:
        VarSpacesError: if they do not fit together.
    """
    from var_spaces.zoo.checkpoints import fitting_state
    from var_spaces.zoo.locate import files_of
    from var_spaces.zoo.manifest import build
    from var_spaces.zoo.writer import save_model

    for card in (content, style):
        if not card.base or card.adapter["name"] != "content-style":
            raise VarSpacesError(f"'{card.id}' holds no content and style apart.")
    one, other = ({**card.adapter, "base": card.base} for card in (content, style))
    unlike = [key for key in ("base", *SHAPES) if one.get(key) != other.get(key)]
    if unlike:
        raise VarSpacesError(
            f"'{content.id}' and '{style.id}' differ in {', '.join(unlike)}: teach both alike."
        )
    a, b = (fitting_state(card, build(card), files_of(card), []) for card in (content, style))
    state = {"content": a["content"], "style": b["style"], "directions": b["directions"]}
    for key in ("keys", "values"):
        state[key] = torch.stack((b[key][STYLE], a[key][CONTENT]))
    adapter = {**one, "style": other.get("style", "")}
    adapter.pop("base")
    card = {
        "format": 1,
        "id": folder.name,
        "title": f"{one.get('content', '')} of one picture, {other.get('style', '')} of another",
        "base": content.base,
        "adapter": adapter,
        "training": {"content": content.id, "style": style.id},
    }
    return save_model(folder, card, state, dtype=None)
