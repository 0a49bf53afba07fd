"""Checks a run spec against the models that exist, before any weight is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from var_spaces import methods
from var_spaces.decoding.compat import check_combination, check_rows
from var_spaces.errors import VarSpacesError
from var_spaces.methods import Method
from var_spaces.schedule import ScaleSchedule
from var_spaces.spec import PARTS, RunSpec
from var_spaces.tasks.base import Pictures, Task
from var_spaces.validation import FrozenDict
from var_spaces.zoo.cards import Card, cards, get_card

if TYPE_CHECKING:
    from var_spaces.adapters.base import Adapter
    from var_spaces.cache.base import CachePolicy
    from var_spaces.decoding.base import Guidance, Sampling
    from var_spaces.decoding.strategy import DecodingStrategy

MAX_TOKENS = 16_384
OFFERED = partial(cards, "generator")
NOTHING: Mapping[str, Any] = FrozenDict()


@dataclass(frozen=True, eq=False)
class Plan:
    """A run spec that can run, and what it refers to.

    Attributes:
        spec: the spec in canonical spelling (a class by its name, say); its id is the run's id.
        card: of the model; ``extra`` holds cards of further models a strategy needs, by id.
        task, sampling, guidance, cache, decoding: the methods.
        adapter: what extends the model, or None.
        schedule: token maps of the run.
    """

    spec: RunSpec
    card: Card
    extra: Mapping[str, Card]
    task: Task
    sampling: Sampling
    guidance: Guidance
    cache: CachePolicy
    decoding: DecodingStrategy
    schedule: ScaleSchedule
    adapter: Adapter | None = None

    def read_pictures(self, handed: Mapping[str, Any]) -> Pictures:
        """Pixels of the pictures that the task names, if something can be drawn from them; see
        :meth:`Task.read_pictures` and :meth:`Task.check_pictures`."""
        found = self.task.read_pictures(handed)
        downsample = self.card.resolution // max(self.card.schedule.last)
        self.task.check_pictures(self.schedule, downsample, found)
        return found


def plan(spec: RunSpec) -> Plan:
    """Resolve a spec.

    Raises:
        VarSpacesError: if a name is unknown, the model cannot do the task or draw the schedule, or
            the methods do not work together.
    """
    card = get_card(spec.model, "generator")
    task = methods.parse("task", {"name": spec.task, **spec.inputs}).resolve(card)
    inputs = {key: value for key, value in methods.dump(task).items() if key != "name"}
    schedule = _schedule(spec, card, task)
    own = schedule == task.schedule(card)
    parts = {kind: methods.parse(kind, getattr(spec, kind)) for kind in PARTS}
    parts["decoding"] = parts["decoding"].resolve(card, schedule, OFFERED)
    spec = spec.replace(
        inputs=inputs,
        schedule=None if own else schedule.sizes,
        decoding=methods.dump(parts["decoding"]),
    )
    extra = fit_together(card, [task, *parts.values()])
    drawing = (card, *extra.values())
    parts["cache"] = parts["cache"].for_models([id for one in drawing for id in one.lineage])
    for part in (task, parts["sampling"], parts["guidance"], parts["decoding"]):
        part.check_schedule(schedule)
    guiding = parts["decoding"].guidances(parts["guidance"]).values()
    for one, guidance in zip(drawing, guiding, strict=True):
        if codes := one.architecture.get("vocab_size"):
            parts["sampling"].check_codes(codes)
        if layout := one.kv_layout:
            parts["cache"].check(schedule, *layout)
            for scale in range(schedule.num_scales):  # refuses layers that the model lacks
                guidance.hidden_weights(scale, schedule, layout[0])
    parts["decoding"].check_asked(task.asked(card), schedule)
    adapter = adapter_of(card)
    for guidance in guiding:
        check_rows(guidance, schedule, adapter.rows if adapter else ("full", "null"))
    return Plan(
        spec=spec, card=card, extra=extra, task=task, schedule=schedule, adapter=adapter, **parts
    )


def adapter_of(card: Card) -> Adapter | None:
    """What extends the model of a card."""
    return methods.parse("adapter", card.adapter) if card.adapter else None


def fit_together(card: Card, parts: Sequence[Method]) -> dict[str, Card]:
    """Refuse methods that do not work with a model or with one another.

    Args:
        parts: task, sampling, guidance, cache policy and decoding strategy, in any order.

    Returns:
        Cards of further models that the decoding strategy needs, by id.
    """
    parts = [*parts, *filter(None, [adapter_of(card)])]
    (decoding,) = (part for part in parts if part.kind == "decoding")
    decoding = decoding.resolve(card, card.schedule, OFFERED)
    extra = {name: get_card(name, "generator") for name in decoding.models}
    everyone = [card, get_card(card.tokenizer, "tokenizer"), *extra.values()]
    check_combination({c.id: c.offers for c in everyone}, parts)
    decoding.check({"": card, **extra})
    return extra


def check_methods(card: Card, task: str, changes: Mapping[str, Any] = NOTHING) -> None:
    """Refuse a task and methods that do not work with a model, whatever is asked for.

    Args:
        task: its name.
        changes: methods by kind, instead of those that the card names.
    """
    chosen = {kind: card.default(kind) for kind in PARTS} | changes
    parts = [methods.parse(kind, chosen[kind]) for kind in PARTS]
    # What a task needs does not depend on its inputs, and some inputs have no default.
    fit_together(card, [methods.get("task", task).model_construct(), *parts])


def works(card: Card, task: str, changes: Mapping[str, Any] = NOTHING) -> bool:
    """Whether :func:`check_methods` refuses nothing."""
    try:
        check_methods(card, task, changes)
    except VarSpacesError:
        return False
    return True


def usual_model(task: str | None, wanted: str) -> Card:
    """The model that draws if none is named: the one that a task is for, featured ones first.

    Args:
        task: name of the task, or None for that of the model.
        wanted: capability, "class-labels" or "text".

    Raises:
        VarSpacesError: if no model on offer does.
    """
    found = [card for card in cards("generator").values() if wanted in card.offers]
    found = [card for card in found if (works(card, task) if task else not card.adapter)]
    if not found:
        raise VarSpacesError("No model on offer draws that: name one with --model.")
    order = [(card.default_task != task, not card.featured, card.id, card) for card in found]
    return min(order, key=lambda item: item[:3])[-1]


def _schedule(spec: RunSpec, card: Card, task: Task) -> ScaleSchedule:
    """The schedule of the spec, else that of the task; some models draw only their own."""
    own = task.schedule(card)
    if spec.schedule is None or spec.schedule == own.sizes:
        return own if own == card.schedule else _bounded(own, card)
    wanted = ScaleSchedule(spec.schedule)
    if own != card.schedule:
        raise VarSpacesError("Give a schedule, or a shape and steps, not both.")
    if "any-schedule" not in card.offers:
        own = " ".join(f"{h}x{w}" for h, w in card.schedule.sizes)
        raise VarSpacesError(
            f"Model '{card.id}' draws only its own schedule ({own}): leave the schedule out."
        )
    if wanted.lengths[0] != 1:
        raise VarSpacesError(f"Model '{card.id}' starts from one token: begin the schedule at 1x1.")
    return _bounded(wanted, card)


def _bounded(wanted: ScaleSchedule, card: Card) -> ScaleSchedule:
    levels = card.architecture.get("levels", card.kind.scales)
    if wanted.num_scales > levels or wanted.total > MAX_TOKENS:
        raise VarSpacesError(
            f"A schedule of {wanted.num_scales} scales and {wanted.total} tokens is too large for "
            f"'{card.id}': at most {levels} scales and {MAX_TOKENS} tokens."
        )
    return wanted
