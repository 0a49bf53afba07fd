"""Which parts of a run fit together, decided from what they declare, before any work.

Models and methods offer capabilities; a method may need some of them or exclude them, each with a
reason. Adding a method or a model never edits this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from var_spaces.errors import VarSpacesError
from var_spaces.methods import Method

if TYPE_CHECKING:
    from var_spaces.decoding.base import Guidance
    from var_spaces.schedule import ScaleSchedule

Offers = Mapping[str, Iterable[str]]


def check_combination(models: Offers, methods: Iterable[Method]) -> None:
    """Refuse a combination of models and methods that cannot work.

    Args:
        models: capabilities that each model of the run offers, by its id.
        methods: sampling, guidance, cache policy and decoding strategy of the run; each may have
            ``offers``, ``needs`` and ``excludes`` as in :class:`var_spaces.decoding.base.Part`.

    Raises:
        VarSpacesError: naming the two sides and the reason.
    """
    methods = tuple(methods)
    everything = {f"model '{name}'": frozenset(offered) for name, offered in models.items()}
    everything |= {_title(part): frozenset(getattr(part, "offers", ())) for part in methods}
    for part in methods:
        others = {who: offered for who, offered in everything.items() if who != _title(part)}
        for capability, reason in getattr(part, "needs", {}).items():
            if not any(capability in offered for offered in others.values()):
                names = ", ".join(who for who in others if who.startswith("model"))
                raise VarSpacesError(
                    f"{_title(part)} does not work with {names}: {reason}, and none of the parts "
                    f"offers '{capability}'. Choose another model or another {part.kind}."
                )
        for capability, reason in getattr(part, "excludes", {}).items():
            clash = next((who for who, offered in others.items() if capability in offered), None)
            if clash:
                raise VarSpacesError(
                    f"{_title(part)} does not work with {clash}: {reason}. "
                    f"Choose another {part.kind} or replace {clash}."
                )


def _title(part: Method) -> str:
    return f"{part.kind} '{part.name}'"


def check_rows(guidance: Guidance, schedule: ScaleSchedule, known: Sequence[str]) -> None:
    """Refuse guidance that mixes conditions which a run does not tell apart.

    Args:
        known: names of the rows of the run: those of its adapter, else "full" and "null".
    """
    missing = [name for name in guidance.rows(schedule) if name not in known]
    if missing:
        raise VarSpacesError(
            f"{_title(guidance)} mixes the conditions {', '.join(guidance.rows(schedule))}, and "
            f"this run knows {', '.join(known)} only: choose another guidance, or a task that "
            "takes a picture."
        )
