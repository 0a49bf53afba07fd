"""CSD-100 (arXiv 2507.13984), from the folders of those who publish it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from leaderboard.extractors.files import data_file
from leaderboard.styles.base import Picture
from var_spaces.errors import VarSpacesError

# ``<content>+<style>/00.jpg`` of every picture, as the archive holds them.
FOLDER = "csd100/test"
FOLDER_URL = "https://huggingface.co/datasets/qualcomm/csd100 (csd100_flux_schnell.zip)"
PROMPTS = "csd100/benchmark_prompts.json"
PROMPTS_URL = "https://github.com/visual-ar-group/CSD-VAR (benchmark_data)"
COUNT = 100
# Contents that can be sad or run; which of them do is not published.
LIVE = (
    "bear", "cat", "dog", "duck", "fox", "gorilla", "horse", "kangaroo", "ladybug", "leopard",
    "moose", "ninja", "owl", "parrot", "penguin", "rabbit", "robot", "seagull", "snail", "swan",
    "turtle", "zebra",
)  # fmt: skip


def names() -> tuple[str, ...]:
    """Folders of all pictures, sorted.

    Raises:
        VarSpacesError: if they are missing, or not all there.
    """
    folder = data_file(FOLDER, FOLDER_URL)
    found = tuple(sorted(path.parent.name for path in folder.glob("*+*/00.jpg")))
    if len(found) != COUNT:
        raise VarSpacesError(
            f"{folder} holds {len(found)} pictures and not {COUNT}: download it from {FOLDER_URL} "
            "again."
        )
    return found


def find(name: str) -> Picture:
    """The picture of a folder, or of "content, style" as items name it."""
    folder = name.replace(", ", "+").replace(" ", "_")
    return _read(data_file(f"{FOLDER}/{folder}/00.jpg", FOLDER_URL))


@lru_cache(maxsize=COUNT)
def _read(path: Path) -> Picture:
    from var_spaces.pictures import as_rgb, read

    content, _, style = path.parent.name.replace("_", " ").partition("+")
    pixels = as_rgb(read(path, path.parent.name))
    return Picture(content, style, np.ascontiguousarray(pixels))


def prompts() -> tuple[Mapping[str, Sequence[str]], Sequence[str]]:
    """Templates with {} for the content, by kind, and for the style.

    Raises:
        VarSpacesError: if the file is missing or is another one.
    """
    path = data_file(PROMPTS, PROMPTS_URL)
    try:
        data = json.loads(path.read_text("utf-8"))
        content, style = data["content"], data["style"]
        kinds = {name: list(content[name]) for name in ("recontextualization", "stylization")}
        kinds["non-rigid"] = list(content["non-rigid"])
        every = [*style, *(text for kind in kinds.values() for text in kind)]
        if all(isinstance(text, str) and text.count("{}") == 1 for text in every):
            return kinds, list(style)
    except (ValueError, TypeError, KeyError):
        pass
    raise VarSpacesError(f"{path.name} is not that of {PROMPTS_URL}: download it again.")
