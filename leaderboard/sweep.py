"""Sweep files: many runs in a few lines, as TOML or JSON.

    suite = ["fidelity"]
    model = ["var-small", "var-base"]

    [[cache]]
    name = "hack"
    budget = [0.1, 0.3, 0.5]

Every combination of suite, model, cache, decoding, guidance, sampling, dtype and schedule is a run;
what is left out is the default of the model. In a method, a list stands for one run per element
(write a list of lists for a parameter that is itself a list). A suite may also be a table that
lists images of one's own, with files of their pictures (``suites/own.py``).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from leaderboard.entry import PARTS, Entry
from leaderboard.suites.base import Suite, get_suite
from leaderboard.suites.own import OwnSuite
from var_spaces.errors import VarSpacesError, did_you_mean

MAX_BYTES = 64 * 1024
MAX_RUNS = 1000
KEYS = ("suite", "model", "dtype", "schedule", *PARTS)


def read_sweep(path: str | Path) -> list[tuple[Suite, Entry]]:
    """The runs of a sweep file, in its order and without repetitions.

    Raises:
        VarSpacesError: if the file cannot be read or names what does not exist.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise VarSpacesError(f"{path} is larger than the allowed {MAX_BYTES // 1024} kB.")
        is_json = path.suffix == ".json"
        data = json.loads(text) if is_json else tomllib.loads(text.decode())
    except OSError as error:
        raise VarSpacesError(f"Cannot read {path}: {error.strerror}.") from None
    except (UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise VarSpacesError(f"{path} is no {'JSON' if is_json else 'TOML'}: {error}") from None
    return runs_of(data, str(path), path.parent)


def runs_of(data: Any, what: str, folder: Path = Path()) -> list[tuple[Suite, Entry]]:
    """The runs that a sweep describes.

    Args:
        what: names it in messages.
        folder: where paths of its pictures begin.
    """
    if not isinstance(data, Mapping) or not {"suite", "model"} <= set(data):
        raise VarSpacesError(f"{what}: give at least 'suite' and 'model'.")
    for key in data:
        if key not in KEYS:
            raise VarSpacesError(f"{what}: unknown key '{key[:40]}'.{did_you_mean(key, KEYS)}")
    listed = {key: list(_choices(key, value)) for key, value in data.items()}
    total = 1
    for values in listed.values():
        total *= len(values)
    if not 0 < total <= MAX_RUNS:
        raise VarSpacesError(f"{what}: it asks for {total} runs, allowed are 1 to {MAX_RUNS}.")
    listed["suite"] = [_suite(given, what, folder) for given in listed["suite"]]
    found: dict[tuple[Suite, str], tuple[Suite, Entry]] = {}
    for values in product(*listed.values()):
        chosen = dict(zip(listed, values, strict=True))
        suite, model = chosen.pop("suite"), chosen.pop("model")
        entry = Entry.of(model, **chosen)
        found.setdefault((suite, entry.id), (suite, entry))
    return list(found.values())


def _suite(given: Any, what: str, folder: Path) -> Suite:
    return OwnSuite.of(given, folder, what) if isinstance(given, Mapping) else get_suite(given)


def _choices(key: str, value: Any) -> Iterator[Any]:
    """One value or several; methods also by their parameters."""
    for one in value if isinstance(value, list) else [value]:
        if key not in PARTS or not isinstance(one, Mapping):
            yield one
            continue
        lists = {k: v if isinstance(v, list) else [v] for k, v in one.items()}
        for values in product(*lists.values()):
            yield dict(zip(lists, values, strict=True))
