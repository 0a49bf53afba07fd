"""Reads trained models without the zoo, whose methods need pydantic: a training machine may have
none."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.folder import fill
from var_spaces.training.engine.config import build, bundled, read_config
from var_spaces.zoo.families import FAMILIES
from var_spaces.zoo.folders import CARD

EVALUATORS = {
    "judge": ("var_spaces.evaluators.judge:Judge", "var_spaces.evaluators.judge:JudgeNetwork"),
    "parser": (
        "var_spaces.evaluators.parser_network:Parser",
        "var_spaces.evaluators.parser_network:ParserConfig",
    ),
    "clip": (
        "var_spaces.evaluators.clip_network:Clip",
        "var_spaces.evaluators.clip_network:ClipConfig",
    ),
}


def load(folder: Path, *families: str) -> nn.Module:
    """The model of a folder, float32 on the CPU, in evaluation mode and frozen.

    Args:
        families: those that serve; none for any.

    Raises:
        VarSpacesError: if the folder holds no model, or one of another family.
    """
    card = read_card(folder)
    family = card.get("family")
    if families and family not in families:
        raise VarSpacesError(
            f"The model in {folder} is a {family}; what is needed here is a "
            f"{' or a '.join(families)}."
        )
    if family in EVALUATORS:
        module, config = EVALUATORS[family]
    elif family in FAMILIES:
        module, config = FAMILIES[family].model, FAMILIES[family].config
    else:
        raise VarSpacesError(f"The card in {folder} names no family that is known: {family}.")
    sizes = build(_get(config), card.get("architecture", {}), f"the card in {folder}")
    return fill(_get(module)(sizes), folder)


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder.

    Raises:
        VarSpacesError: if there is none; says how to train that model.
    """
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
        if isinstance(card, dict):
            return card
    except (OSError, ValueError):
        pass
    raise VarSpacesError(f"No model in {folder}: train one first, {_command(folder.name)}.")


def _command(name: str) -> str:
    """How a model of this id is trained."""
    kind = read_config(name)["kind"] if name in bundled() else "KIND"
    return f"'python -m var_spaces.training {kind} --config {name if kind != 'KIND' else 'RECIPE'}'"


def _get(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
