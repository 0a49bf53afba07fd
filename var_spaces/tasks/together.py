"""Runs that share every pass: one walk through the scales, and to each run its own events.

A run may leave at any scale, because nobody waits for it or because its numbers went bad; its rows
leave the batch and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeAlias

from var_spaces import methods
from var_spaces.decoding.loop.joint import joined
from var_spaces.decoding.loop.run import Walk
from var_spaces.errors import VarSpacesError
from var_spaces.events import Event, Started
from var_spaces.tasks.prepare import Request, conditioning_of, setup_of
from var_spaces.tasks.record import Ledger, Stopwatch
from var_spaces.zoo.placement import Placement
from var_spaces.zoo.residency import Residency

# to run number n: an event, or why it ends early
Told: TypeAlias = tuple[int, Event | VarSpacesError]


def company(request: Request) -> Hashable | None:
    """Requests of which this is the same can be drawn together; None draws alone.

    It is model, schedule and methods. Pictures, adapters, searches and observers belong to one run.
    """
    plan = request.plan
    depth = (plan.card.kv_layout or (1,))[0]
    searching = any(work.rows > 1 for work in plan.decoding.work(plan.schedule, depth))
    if plan.adapter or request.observe or plan.task.pictures() or searching:
        return None
    parts = (plan.sampling, plan.guidance, plan.cache, plan.decoding)
    return (
        plan.card.id,
        plan.schedule.sizes,
        request.previews,
        plan.task.conditioning(plan.card, 1).company,
        *(repr(methods.dump(part)) for part in parts),
    )


def together(
    requests: Sequence[Request],
    zoo: Residency,
    device: Placement | None = None,
    gone: Callable[[int], bool] = lambda number: False,
) -> Iterator[Told]:
    """Events of runs, each with the number of its run. Closing it frees what all of them held.

    Args:
        requests: one, or several of the same :func:`company`.
        gone: whether nobody waits for a run any more; asked before every scale.

    Raises:
        VarSpacesError: if none of them can be drawn.
    """
    plan = requests[0].plan
    with zoo.lease([plan.card.id, *plan.extra], device, text=True) as (model, *more):
        extra = {name: other.backbone for name, other in zip(plan.extra, more, strict=True)}
        clock, ledgers = Stopwatch(), [Ledger(request, model) for request in requests]

        def told(number: int, event: Event | VarSpacesError) -> Iterator[Told]:
            clock.pause()
            yield number, event
            clock.go()

        asked = [conditioning_of(request.plan, model) for request in requests]
        for number, (request, conditioning) in enumerate(zip(requests, asked, strict=True)):
            notes = conditioning.notes() if model.text_encoder else ()
            notes += plan.cache.notes(plan.schedule)
            spec = request.plan.spec
            yield from told(number, Started(spec, spec.id, plan.schedule, plan.card.id, notes))
        setups = [
            setup_of(request, model, extra, conditioning)
            for request, conditioning in zip(requests, asked, strict=True)
        ]
        own = _positions([len(setup.images) for setup in setups])
        walk = Walk(joined(setups))
        try:
            for scale in range(plan.schedule.num_scales):
                for number in [number for number in own if gone(number)]:
                    walk.drop(own.pop(number))
                if not own:
                    return
                walk.advance(scale)
                for number, images in list(own.items()):
                    try:
                        event = ledgers[number].scale(walk.done(scale, images))
                    except VarSpacesError as error:
                        event = error
                        walk.drop(own.pop(number))
                    yield from told(number, event)
            for number, images in own.items():
                try:
                    pictures = list(walk.pictures(images))
                except VarSpacesError as error:
                    yield from told(number, error)
                    continue
                for _, image in pictures:
                    yield from told(number, ledgers[number].image(image))
                ids = walk.ids(images)
                clock.pause()
                event = ledgers[number].finished(ids, clock.total)
                clock.go()
                yield from told(number, event)
        finally:
            walk.close()


def _positions(counts: Sequence[int]) -> dict[int, range]:
    """Where the images of every run stand in the joint setup."""
    found, start = {}, 0
    for number, count in enumerate(counts):
        found[number] = range(start, start + count)
        start += count
    return found
