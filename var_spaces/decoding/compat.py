"""Which parts of a run fit together, decided from what they declare, before any work.

Models and methods offer capabilities; a method may need some of them or exclude them, each with a
reason. Adding a method or a model never edits this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from var_spaces.errors import VarSpacesError
from var_spaces.methods import Method

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
