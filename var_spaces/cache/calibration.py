"""Calibrations: what attention of a model looks like on average, measured once and kept in a file.

``python -m var_spaces calibrate MODEL`` writes one. Policies that depend on the model find theirs
by its layout: layers, heads and scales. No torch here, so that it can be read without.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from var_spaces import codecs
from var_spaces.errors import NotHere, VarSpacesError, did_you_mean
from var_spaces.paths import expanded, made_folder, write_file
from var_spaces.schedule import ScaleSchedule
from var_spaces.validation import FrozenModel

EMBEDDED = Path(__file__).resolve().parents[2] / "assets" / "cache_budgets"
FOLDERS_VARIABLE = "VAR_SPACES_CALIBRATIONS"
AUTO = "auto"
MAX_BYTES = 16 * 1024 * 1024

Table = tuple[tuple[float, ...], ...]


class Calibration(FrozenModel):
    """Statistics of one model at one schedule; what a file lacks is empty.

    Attributes:
        model: id of the model, the file's name.
        source: where the numbers come from.
        layers, heads: of the model; heads 0 fits any.
        sizes: ``(h, w)`` of every scale.
        samples: images it was measured on.
        current: ``[scale][layer]`` mean attention on the scale's own tokens.
        history_top: ``[scale][layer]`` mean sum of the largest weights on earlier tokens.
        column_variance: ``[layer][head]`` variance over the queries of the last scale, summed over
            the keys (HACK).
        mass: ``[layer][head][scale][source]`` mean attention of a scale on all tokens of a source
            scale, sources up to the scale itself.
        drafters: ``[scale]`` drafter layers where they are published as such (ScaleKV).
    """

    model: str
    source: str = ""
    layers: int
    heads: int
    sizes: tuple[tuple[int, int], ...]
    samples: int = 0
    current: Table = ()
    history_top: Table = ()
    column_variance: Table = ()
    mass: tuple[tuple[Table, ...], ...] = ()
    drafters: tuple[tuple[int, ...], ...] = ()

    def write(self, folder: Path) -> Path:
        """Write ``<model>.json``, numbers with six digits."""
        path = made_folder(folder) / f"{self.model}.json"
        data = self.model_dump(mode="json", exclude_defaults=True)
        write_file(path, json.dumps(_short(data), separators=(",", ":")).encode() + b"\n")
        return path


def folders() -> list[Path]:
    """Where calibrations are looked for; an earlier folder hides what later ones have."""
    extra = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return [*(expanded(entry) for entry in extra if entry), EMBEDDED]


def find(
    name: str,
    needs: str,
    schedule: ScaleSchedule,
    layers: int,
    heads: int,
    models: Sequence[str] = (),
) -> Calibration:
    """The calibration of a model.

    Args:
        name: of the file, or "auto": the one that fits the layout, that of the model itself first.
        needs: the table that the policy reads.
        schedule: of the run; another one with as many scales as the calibration's will do.
        layers, heads: layout of the model.
        models: ids of the model and of what it stands on, its own first.

    Raises:
        VarSpacesError: if there is none, or several fit and none is the model's own; says how to
            make or choose one.
    """
    known = {calibration.model: calibration for calibration in reversed(list(_all()))}
    if name != AUTO:
        if name not in known:
            raise VarSpacesError(
                f"Unknown calibration '{name}'.{did_you_mean(name, known)} "
                f"Known: {', '.join(sorted(known)) or 'none'}."
            )
        known = {name: known[name]}
    fitting = [c for c in known.values() if _fits(c, needs, schedule, layers, heads)]
    own = [c for model in models for c in fitting if c.model == model][:1]
    exact = own or [c for c in fitting if c.sizes == schedule.sizes] or fitting
    if len(exact) == 1:
        return exact[0]
    layout = f"{layers} layers, {heads} heads and {schedule.num_scales} scales"
    if not exact:
        chosen = "No calibration" if name == AUTO else f"Calibration '{name}' does not"
        raise NotHere(
            f"{chosen} fit{'s' if name == AUTO else ''} a model of {layout} with the table "
            f"'{needs}': run 'python -m var_spaces calibrate MODEL' once."
        )
    names = ", ".join(sorted(c.model for c in exact))
    raise VarSpacesError(
        f"Several calibrations fit a model of {layout}, and none is its own: set 'calibration' to "
        f"one of {names}, or run 'python -m var_spaces calibrate MODEL' once."
    )


def _fits(c: Calibration, needs: str, schedule: ScaleSchedule, layers: int, heads: int) -> bool:
    return (
        c.layers == layers
        and c.heads in (0, heads)
        and len(c.sizes) == schedule.num_scales
        and any(getattr(c, table) for table in needs.split("|"))
    )


def _all() -> Iterator[Calibration]:
    for folder in folders():
        for path in sorted(folder.glob("*.json")):
            with open(path, "rb") as file:
                text = file.read(MAX_BYTES + 1)
            try:
                yield Calibration(**codecs.parse_json(text, "It", MAX_BYTES))
            except (TypeError, VarSpacesError) as error:
                raise VarSpacesError(f"Bad calibration {path.name}: {error}") from None


def _short(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.6g}")
        case list() | tuple():
            return [_short(item) for item in value]
        case dict():
            return {key: _short(item) for key, item in value.items()}
    return value
