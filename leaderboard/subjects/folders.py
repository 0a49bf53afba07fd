"""Subjects of published protocols, from folders of pictures that must be downloaded by hand."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from leaderboard.extractors.files import data_file
from leaderboard.subjects.base import Subject
from var_spaces.errors import VarSpacesError

DREAMBENCH = "dreambooth/dataset"
DREAMBENCH_URL = "https://github.com/google/dreambooth"
VICO = "vico"
VICO_URL = "https://github.com/cvlab-kaist/DreamMatcher (inputs) and https://github.com/haoosz/ViCo"

LISTS = "prompts_and_classes.txt"  # of DreamBooth
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Word for every concept of ViCo; those that live have prompts of their own.
VICO_WORDS = {
    "fat_dog": "dog",
    "brown_dog": "dog",
    "brown_dog2": "dog",
    "black_cat": "cat",
    "brown_cat": "cat",
    "cat_statue": "statue",
    "elephant_statue": "statue",
    "duck_toy": "toy",
    "monster_toy": "toy",
    "brown_teddybear": "teddybear",
    "tortoise_plushy": "plushy",
    "alarm_clock": "clock",
    "pink_sunglasses": "sunglasses",
    "red_teapot": "teapot",
    "red_vase": "vase",
    "wooden_barn": "barn",
}
LIVE = ("dog", "cat")


def dreambench(name: str) -> Subject:
    """One of the 30 subjects of DreamBooth."""
    return _read(data_file(f"{DREAMBENCH}/{name}", DREAMBENCH_URL), dreambench_words()[name])


def vico(name: str) -> Subject:
    """One of the 16 subjects of ViCo."""
    return _read(data_file(f"{VICO}/{name}", VICO_URL), VICO_WORDS[name])


def dreambench_words() -> dict[str, str]:
    """Word for every subject, in the order of the authors' list.

    Raises:
        VarSpacesError: if the list is missing or is another one.
    """
    text = _lists()
    head, _, _ = text.partition("Prompts")
    found = re.findall(r"^(\w+),(.+)$", head, re.MULTILINE)
    words = {name: word.strip() for name, word in found if name != "subject_name"}
    return words or _other_list()


def dreambench_templates(word: str) -> list[str]:
    """The 25 prompts of a subject, with {} for it, in the authors' order."""
    _, _, rest = _lists().partition("Prompts")
    objects, _, live = rest.partition("Live Subject Prompts")
    part = live if word in LIVE else objects
    templates = [
        line.replace("{0} {1}", "{}") for line in re.findall(r"^'(.+)'\.format", part, re.M)
    ]
    return templates or _other_list()


def vico_templates(word: str) -> list[str]:
    """The 31 prompts of a subject, with {} for it."""
    kind = "live" if word in LIVE else "nonlive"
    path = data_file(f"{VICO}/prompts_{kind}_objects.txt", VICO_URL)
    return [line.strip() for line in path.read_text("utf-8").splitlines() if "{}" in line]


def _lists() -> str:
    return data_file(f"{DREAMBENCH}/{LISTS}", DREAMBENCH_URL).read_text("utf-8")


def _other_list() -> None:
    raise VarSpacesError(f"{LISTS} is not that of {DREAMBENCH_URL}: download it again.")


@lru_cache(maxsize=64)
def _read(folder: Path, word: str) -> Subject:
    """All pictures of a folder, by name.

    Raises:
        VarSpacesError: if there are none, or one is no picture.
    """
    from var_spaces.pictures import as_rgb, read

    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise VarSpacesError(f"{folder} holds no pictures: download it again.")
    pictures = tuple(np.ascontiguousarray(as_rgb(read(path, path.name))) for path in files)
    return Subject(folder.name, word, pictures)
