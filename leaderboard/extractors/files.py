"""Weights of evaluators that others published: where they must lie, and how to get them.

Nothing is downloaded by itself: a missing file is refused with the one command that fetches it.
"""

from __future__ import annotations

import os
from pathlib import Path

from var_spaces.errors import NotHere, VarSpacesError
from var_spaces.paths import expanded
from var_spaces.zoo import hub
from var_spaces.zoo.source import Source

DATA_VARIABLE = "VAR_SPACES_DATA"


def hub_file(repository: str, *names: str) -> Path:
    """The first of some files of a Hub repository, from the Hub cache; all must be there.

    Raises:
        VarSpacesError: if one is not; says how to get them.
    """
    found = hub.cached(Source(repository=repository, files=names))
    if found is None:
        listed = " ".join(names)
        raise NotHere(
            f"{listed} of {repository} are not all on this machine: get them with "
            f"'hf download {repository} {listed}'."
        )
    return found[0]


def hub_folder(repository: str) -> tuple[Path, list[Path]]:
    """The folder of a whole Hub repository in the Hub cache, and its weight files.

    Raises:
        VarSpacesError: if its configuration or a weight file is missing; says how to get it.
    """
    from var_spaces.zoo.locate import weight_files

    found = hub.cached(Source(repository=repository, files=("config.json",)))
    try:
        if found is not None:
            return found[0].parent, weight_files(found[0].parent)
    except VarSpacesError:
        pass  # a part of it is here
    raise NotHere(
        f"{repository} is not on this machine as a whole: get it with 'hf download {repository}'."
    )


def data_file(name: str, url: str) -> Path:
    """A file that must be downloaded by hand, below the folder ``VAR_SPACES_DATA``.

    Raises:
        VarSpacesError: if it is not there; says where from and where to.
    """
    folder = expanded(os.environ.get(DATA_VARIABLE) or "~/.cache/var-spaces")
    path = folder / name
    if not path.exists():
        raise NotHere(
            f"{path} is missing: download it from {url} (or set {DATA_VARIABLE} to the folder that "
            f"holds {name})."
        )
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file; read again only when it has changed."""
    from var_spaces.zoo.locate import digest_of  # torch comes with it

    return digest_of([path])


def need(package: str, install: str) -> None:
    """Refuse with a command if an optional package is missing."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise NotHere(f"This needs {package}: pip install {install}")
