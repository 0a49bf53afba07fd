"""Recipe files: one TOML file describes one training run.

Sections map onto frozen dataclasses; unknown sections and keys are refused with the nearest known
name. Bundled recipes live in ``var_spaces/training/configs`` and go by their file name.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.ranges import Bounds
from var_spaces.training.engine.amounts import Count, Minutes, Positive, Seed, Share, Weight

CONFIG_FOLDER = Path(__file__).parents[1] / "configs"
T = TypeVar("T")


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation settings shared by every recipe.

    Args:
        batch_size: images per step over all processes.
        lr: peak learning rate of both Muon and AdamW parts.
        weight_decay: decoupled, on matrices only.
        warmup: share of the run with linear warm-up, 0..1.
        constant: share of the run after which the rate falls linearly, 0..1.
        final_lr: rate at the end as a share of the peak.
        ema: decay of the weight average that is exported.
        clip: global gradient norm limit.
        optimizer: "muon" (matrices by Muon, the rest by AdamW) or "adamw".
        precision: "auto" (bfloat16 autocast on CUDA, float32 elsewhere), "fp32", or "bf16" (float32
            on processors without units for it, which take ten times as long in bfloat16).
        compile: wrap the network in torch.compile on CUDA.
        log_every, eval_minutes, checkpoint_minutes: rhythm of metrics, evaluation, checkpoints.
        seed: of initialisation, data and noise.
    """

    batch_size: Count = 32
    lr: Positive = 2e-3
    weight_decay: Weight = 0.0
    warmup: Share = 0.01
    constant: Share = 0.4
    final_lr: Share = 0.02
    ema: Annotated[float, Bounds(0, 1, open_high=True)] = 0.999
    clip: Positive = 1.0
    optimizer: Literal["muon", "adamw"] = "muon"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    log_every: Count = 20
    eval_minutes: Minutes = 5.0
    checkpoint_minutes: Minutes = 3.0
    seed: Seed = 0


@dataclass(frozen=True)
class RecipeFile:
    """What a recipe file holds; what is in its tables is checked where they are read.

    Args:
        kind, id: of the training, and of the model that it makes.
        title: of the model; its id without one.
        minutes: of training, where neither these nor steps are given.
        embedded: place in the order of all trainings of embedded models, and minutes of two cores.
        stored: how matrices go to disk.
    """

    kind: str
    id: str
    title: str = ""
    minutes: Positive = 30
    embedded: tuple[Positive, Positive] = (1, 1)
    stored: Literal["float16", "int8"] = "float16"
    model: dict = field(default_factory=dict)
    recipe: dict = field(default_factory=dict)
    codebook: dict = field(default_factory=dict)
    stages: list = field(default_factory=list)
    train: dict = field(default_factory=dict)


def bundled() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.toml"))


def embedded() -> dict[str, float]:
    """Recipes of the embedded models with their share of a common budget, in the order of training.

    A recipe file says it by ``embedded = [place, minutes of two CPU cores]``; a model comes after
    those that it stands on.
    """
    entries = {name: read_config(name).get("embedded") for name in bundled()}
    places = sorted((entry[0], name) for name, entry in entries.items() if entry)
    return {name: entries[name][1] for _, name in places}


def read_config(name_or_path: str) -> dict[str, Any]:
    """Read a recipe by bundled name or file path.

    Raises:
        VarSpacesError: if there is no such recipe or it is not valid TOML.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = CONFIG_FOLDER / f"{name_or_path}.toml"
        if not path.is_file():
            known = bundled()
            raise VarSpacesError(
                f"No recipe '{name_or_path}'. Give a .toml file or one of: {', '.join(known)}."
                + did_you_mean(name_or_path, known)
            )
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise VarSpacesError(f"Cannot read recipe {path}: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise VarSpacesError(f"Recipe {path} is not valid TOML: {error}.") from None
    return data


def build(section: type[T], values: dict[str, Any], where: str) -> T:
    """Build a dataclass from a TOML table; unknown keys and values of another type are refused."""
    check_names(section, values, where)
    check_types(section, values, where)
    cleaned = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return section(**cleaned)
    except TypeError as error:
        raise VarSpacesError(f"Bad value in {where}: {error}.") from None


def check_names(section: type, values: Mapping[str, Any], where: str) -> None:
    """Refuse settings that a dataclass does not have, with the nearest known name."""
    known = sorted(field.name for field in fields(section))
    for key in values:
        if key not in known:
            raise VarSpacesError(
                f"Unknown setting '{key}' in {where}. Known: {', '.join(known)}."
                + did_you_mean(key, known)
            )


def check_types(section: type, values: Mapping[str, Any], where: str = "") -> None:
    """Refuse values that are not of the type of their field in a dataclass, or not in its range,
    which a type has as in ``amounts.py``.

    Raises:
        VarSpacesError: naming the field and what it takes.
    """
    types = get_type_hints(section, include_extras=True)
    for key, value in values.items():
        name = f"{where} {key}".lstrip()
        if not _fits(value, types[key]):
            must, near = _said(types[key]), did_you_mean(str(value), _choices(types[key]))
            raise VarSpacesError(f"{name} = {str(value)[:60]!r} must be {must}.{near}")
        for one, limit in _outside(value, types[key]):
            raise VarSpacesError(f"{name} = {one} is out of range: allowed is {limit}.")


def _choices(kind: Any) -> tuple[str, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of a TOML file is of the type of a field."""
    parts = get_args(kind)
    if get_origin(kind) is Annotated:
        return _fits(value, parts[0])
    if get_origin(kind) is Literal:
        return value in parts
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            return False
        kinds = _each(value, parts)
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if parts:
        return isinstance(value, Mapping) and all(_fits(one, parts[1]) for one in value.values())
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)


def _each(values: Sequence[Any], parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """The types of the values of a list."""
    return parts[:1] * len(values) if parts[-1] is Ellipsis else parts


def _outside(value: Any, kind: Any) -> Iterator[tuple[Any, Any]]:
    """Numbers of a value that are not in their range, each with it."""
    parts = get_args(kind)
    if get_origin(kind) is tuple:
        for one, part in zip(value, _each(value, parts), strict=True):
            yield from _outside(one, part)
    elif isinstance(value, Mapping) and parts:
        for one in value.values():
            yield from _outside(one, parts[1])
    elif get_origin(kind) is Annotated:
        yield from ((value, limit) for limit in kind.__metadata__ if not limit.holds(value))


def _said(kind: Any) -> str:
    """What a type is in words."""
    parts = get_args(kind)
    if get_origin(kind) is Annotated:
        return _said(parts[0])
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_said(part) for part in parts)
    if get_origin(kind) is tuple:
        number = "" if parts[-1] is Ellipsis else f"{len(parts)} "
        return f"a list of {number}values, each {_said(parts[0])}"
    if parts:
        return f"a table of values, each {_said(parts[1])}"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    words |= {NoneType: "nothing", dict: "a table", list: "tables, one for each stage"}
    return words[kind]
