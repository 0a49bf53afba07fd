"""Settings that change in the middle of a run: scenes widen as the pictures get better.

In a recipe file::

    [[stages]]
    until = 0.3          # share of the run
    scenes = "single"

    [[stages]]
    until = 0.6
    scenes = "alike"

Each stage changes some settings of [recipe] until its share of the run is used; after the last of
them the settings are those of [recipe]. The stage depends on the progress only, so a resumed run
goes on in the right one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.training.engine.config import check_types


class Curriculum:
    """Settings by progress.

    Attributes:
        stages: ``(until, settings)`` with rising ends; the last ends at 1.
    """

    def __init__(
        self, settings: Any, stages: Sequence[Mapping[str, Any]], changing: Sequence[str]
    ) -> None:
        """
        Args:
            changing: names of settings that may change in the middle of a run.

        Raises:
            VarSpacesError: for settings that are unknown or cannot change, and for ends that do
                not rise within 0..1.
        """
        known = [field.name for field in fields(settings)]
        self.stages: list[tuple[float, Any]] = []
        before = 0.0
        if not isinstance(stages, list) or not all(isinstance(one, Mapping) for one in stages):
            raise VarSpacesError("[[stages]] must be tables, one for each stage.")
        for stage in stages:
            changes = {key: value for key, value in stage.items() if key != "until"}
            for key in changes:
                if key not in known:
                    raise VarSpacesError(
                        f"Unknown setting '{key}' in [[stages]]. Known: {', '.join(known)}."
                        + did_you_mean(key, known)
                    )
                if key not in changing:
                    may = f"only {', '.join(changing)} may" if changing else "none may"
                    raise VarSpacesError(
                        f"[[stages]] change '{key}', but of the settings of this recipe {may} "
                        "change in the middle of a run: set it in [recipe]."
                    )
            check_types(type(settings), changes, "[[stages]]")
            until = stage.get("until")
            if not isinstance(until, int | float) or not before < until < 1:
                raise VarSpacesError(
                    f"[[stages]] until is {until}: ends must rise, each above {before} and below 1."
                )
            self.stages.append((float(until), replace(settings, **_frozen(changes))))
            before = until
        self.stages.append((1.0, settings))

    def at(self, progress: float) -> tuple[int, Any]:
        """Number of the stage, from 0, and its settings; ``progress`` is 0..1."""
        last = len(self.stages) - 1
        number = next((i for i, (end, _) in enumerate(self.stages) if progress < end), last)
        return number, self.stages[number][1]


def _frozen(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}
