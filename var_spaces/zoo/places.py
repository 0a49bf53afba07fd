"""Where models are: the folders in which cards are looked for.

A card lives in a folder of its own, beside the weights, in ``assets/models`` or in one of the
folders that the environment variable ``VAR_SPACES_MODELS`` lists (separated as in PATH; without it,
in ``~/.var-spaces/models``). Cards of models that others published lie in ``assets/cards``; their
weights come from the Hub.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from var_spaces.errors import VarSpacesError
from var_spaces.paths import expanded
from var_spaces.zoo.folders import CARD

FOLDERS_VARIABLE = "VAR_SPACES_MODELS"
ASSETS = Path(__file__).resolve().parents[2] / "assets"
EMBEDDED = ASSETS / "models"
PUBLISHED = ASSETS / "cards"
USER = Path("~/.var-spaces/models")

# Folders of models that exist only for whom this context works: those of a visitor of the page.
_personal: ContextVar[tuple[Path, ...]] = ContextVar("personal models", default=())


def folders() -> list[Path]:
    """Where models are looked for; a model of an earlier folder hides one of the same id."""
    return [EMBEDDED, *_own_folders(), *_personal.get()]


@contextmanager
def personal(folders: Iterable[Path]) -> Iterator[None]:
    """Know the models of some more folders in this context (thread or task), and nowhere else."""
    token = _personal.set(tuple(folders))
    try:
        yield
    finally:
        _personal.reset(token)


def personal_folders() -> tuple[Path, ...]:
    """Folders of models that are known in this context alone."""
    return _personal.get()


def is_personal(folder: Path) -> bool:
    """Whether a model's folder is known in this context alone: no other process can draw with
    it."""
    return folder.parent in _personal.get()


def _own_folders() -> list[Path]:
    if FOLDERS_VARIABLE in os.environ:
        listed = os.environ[FOLDERS_VARIABLE].split(os.pathsep)
        return [expanded(entry) for entry in listed if entry]
    try:
        return [expanded(USER)]
    except VarSpacesError:  # nobody's home
        return []


def user_folder() -> Path:
    """Where a person's own models are put.

    Raises:
        VarSpacesError: if the installation has no such folder.
    """
    own = _own_folders()
    if not own:
        raise VarSpacesError(f"There is no folder of own models: set {FOLDERS_VARIABLE} to one.")
    return own[0]


def card_files() -> Iterator[Path]:
    """Every card that there is, in the order in which an earlier one hides one of the same id."""
    for folder in folders():
        found = []
        with suppress(FileNotFoundError, NotADirectoryError):  # a visitor's may just have left
            found = [path / CARD for path in folder.iterdir() if not path.name.startswith(".")]
        yield from sorted(filter(Path.is_file, found))
    yield from sorted(PUBLISHED.glob("*.json"))


def id_of(path: Path) -> str:
    """The id of the model whose card this file is."""
    return path.parent.name if path.name == CARD else path.stem
