"""Comparisons to start from: what each column changes of a run. Names of methods, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan

Changes = Mapping[str, Mapping[str, Any] | str]
PLAIN: Changes = {"cache": {"name": "full"}, "decoding": {"name": "plain"}}


@dataclass(frozen=True)
class Preset:
    """A comparison by name; each column says what differs from a plain run."""

    name: str
    columns: tuple[Changes, ...]


def _cache(name: str, **parameters: Any) -> Changes:
    return {"cache": {"name": name, **parameters}}


def _decoding(name: str, **parameters: Any) -> Changes:
    return {"decoding": {"name": name, **parameters}}


PRESETS = (
    Preset("ScaleKV 10 % against full", ({}, _cache("scalekv", budget=0.1))),
    Preset("HACK 30 % against full", ({}, _cache("hack", budget=0.3))),
    Preset(
        "Four caches at 10 %",
        (
            _cache("scalekv", budget=0.1),
            _cache("snapkv", budget=0.1),
            _cache("streaming-llm", budget=0.1),
            _cache("random", budget=0.1),
        ),
    ),
    Preset("Cache in 8 and 4 bits", ({}, _cache("quantised", bits=8), _cache("quantised", bits=4))),
    Preset("CoDe, two scales refined, against plain", ({}, _decoding("collaborative", drafted=-2))),
    Preset(
        "CoDe, three, two and one scale refined",
        tuple(_decoding("collaborative", drafted=-refined) for refined in (3, 2, 1)),
    ),
    Preset("VARiant sub-network against full depth", ({}, _decoding("supernet"))),
    Preset("Best of 4 against plain", ({}, _decoding("best-of-n", candidates=4))),
    Preset("TTS-VAR against plain", ({}, _decoding("tts-var"))),
    Preset("Small model against large", ({"model": "var-small"}, {"model": "var-base"})),
    Preset("Twice the same: no difference", ({}, {})),
)


def presets(base: RunSpec) -> list[Preset]:
    """Presets whose columns can all run with the model and inputs of a run.

    Args:
        base: a run whose cache policy and strategy are replaced.
    """
    return [preset for preset in PRESETS if _runs(preset, base)]


def columns(preset: Preset, base: RunSpec) -> list[RunSpec]:
    """The runs of a preset, in canonical spelling.

    Raises:
        VarSpacesError: if one of them cannot run.
    """
    return [plan(base.replace(**{**PLAIN, **changes})).spec for changes in preset.columns]


def _runs(preset: Preset, base: RunSpec) -> bool:
    for changes in preset.columns:
        for kind, value in changes.items():
            if kind != "model" and value["name"] not in methods.names(kind):
                return False
    try:
        columns(preset, base)
    except VarSpacesError:
        return False
    return True
