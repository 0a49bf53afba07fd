"""What the folder of a new model may be."""

from __future__ import annotations

import re
from pathlib import Path

from var_spaces.errors import VarSpacesError
from var_spaces.paths import made_folder
from var_spaces.zoo.cards import known
from var_spaces.zoo.folders import CARD, MODEL_ID


def check_new(folder: Path, replace: bool) -> None:
    """Refuse a folder that cannot become a new model, before the work whose result it takes.

    Args:
        folder: its name is the id.
        replace: whether a model that is there may go.

    Raises:
        VarSpacesError: if the name is no id or that of a model elsewhere, something is there, or
            nothing can be written.
    """
    if not re.fullmatch(MODEL_ID, folder.name):
        raise VarSpacesError(
            f"The folder '{folder.name[:80]}' gives the model its id: lower-case letters, digits, "
            "'.', '_' and '-', at most 64."
        )
    if folder.exists() and not (folder / CARD).is_file():
        raise VarSpacesError(f"{folder} exists and holds no model: choose another folder.")
    if folder.exists() and not replace:
        raise VarSpacesError(f"{folder} exists: choose another folder, or --replace it.")
    other = known().get(folder.name)
    if other is not None and other.folder.resolve() != folder.resolve():
        raise VarSpacesError(
            f"There is a model '{folder.name}' in {other.folder.parent} already, and one of them "
            "would hide the other: choose another name."
        )
    made_folder(folder.parent)
