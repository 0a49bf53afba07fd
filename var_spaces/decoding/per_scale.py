"""Parameters that are one number for all scales or one number per scale."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import MAX_SCALES, ScaleSchedule


def _listed(value: Any) -> Any:
    """Numbers as a tuple; equal numbers as one, so that equal parameters are spelled alike."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value,)
    if not isinstance(value, tuple | list):
        raise VarSpacesError("give one number, or a list with one per scale.")
    same = len(value) > 1 and all(item == value[0] for item in value)
    return value[:1] if same else value


def per_scale(low: float, high: float, kind: type = float) -> Any:
    """Type of a field: a number in ``low..high``, or as many as the schedule has scales."""
    number = Annotated[kind, Field(ge=low, le=high)]
    several = Annotated[tuple[number, ...], Field(min_length=1, max_length=MAX_SCALES)]
    return Annotated[several, BeforeValidator(_listed)]


def at(values: tuple[float, ...], scale: int) -> float:
    """The number that holds for a scale."""
    return values[scale] if len(values) > 1 else values[0]


def check(what: str, values: tuple[float, ...], schedule: ScaleSchedule) -> None:
    """Refuse a list that does not have one number per scale."""
    if len(values) not in (1, schedule.num_scales):
        raise VarSpacesError(
            f"{what} has {len(values)} numbers for {schedule.num_scales} scales: give one for all, "
            "or one per scale."
        )
