"""Checks a run spec against the models that exist, before any weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from var_spaces import methods
from var_spaces.decoding.compat import check_combination
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.tasks.base import Task
from var_spaces.zoo.cards import Card, get_card

if TYPE_CHECKING:
    from var_spaces.cache.base import CachePolicy
    from var_spaces.decoding.base import DecodingStrategy, Guidance, Sampling


@dataclass(frozen=True, eq=False)
class Plan:
    """A run spec that can run, and what it refers to.

    Attributes:
        spec: the spec in canonical spelling (a class by its name, say); its id is the run's id.
        card: of the model; ``extra`` holds cards of further models a strategy needs, by id.
        task, sampling, guidance, cache, decoding: the methods.
    """

    spec: RunSpec
    card: Card
    extra: Mapping[str, Card]
    task: Task
    sampling: Sampling
    guidance: Guidance
    cache: CachePolicy
    decoding: DecodingStrategy


def plan(spec: RunSpec) -> Plan:
    """Resolve a spec.

    Raises:
        VarSpacesError: if a name is unknown, the model cannot do the task or draw the schedule, or
            the methods do not work together.
    """
    card = get_card(spec.model, "generator")
    task = methods.parse("task", {"name": spec.task, **spec.inputs}).resolve(card)
    inputs = {key: value for key, value in methods.dump(task).items() if key != "name"}
    spec = spec.replace(inputs=inputs, schedule=_own_schedule(spec, card))
    parts = {
        kind: methods.parse(kind, getattr(spec, kind))
        for kind in ("sampling", "guidance", "cache", "decoding")
    }
    extra = {name: get_card(name, "generator") for name in parts["decoding"].models}
    everyone = [card, get_card(card.tokenizer, "tokenizer"), *extra.values()]
    check_combination({c.id: c.kind.offers for c in everyone}, [task, *parts.values()])
    parts["decoding"].check({"": card, **extra})
    return Plan(spec=spec, card=card, extra=extra, task=task, **parts)


def _own_schedule(spec: RunSpec, card: Card) -> None:
    """None, the spelling of the model's own schedule; any other is refused."""
    if spec.schedule is not None and spec.schedule != card.schedule.sizes:
        own = " ".join(f"{h}x{w}" for h, w in card.schedule.sizes)
        raise VarSpacesError(
            f"Model '{card.id}' draws only its own schedule ({own}): leave the schedule out."
        )
