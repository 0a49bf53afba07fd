"""What happens when a visitor does something, as plain functions that know no page.

Values come by field of the form; a run comes out as one :class:`RunView` per event.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from var_spaces import api, methods
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.tasks.base import MAIN
from var_spaces.tasks.plan import Plan, plan
from var_spaces.tasks.region import rectangle_mask
from var_spaces.ui import tabs
from var_spaces.ui.form import fits
from var_spaces.ui.form.examples import Example, examples
from var_spaces.ui.form.form import Form, show
from var_spaces.ui.form.pictures import for_editor
from var_spaces.ui.form.scenes import scenes
from var_spaces.ui.gallery.pictures import example_strip
from var_spaces.ui.queue.gpu import on_gpu
from var_spaces.ui.queue.limits import in_time
from var_spaces.ui.queue.wiring import UNEXPECTED, refusing
from var_spaces.ui.run.kept import Kept
from var_spaces.ui.run.pixels import preview
from var_spaces.ui.run.view import RunView
from var_spaces.zoo.cards import get_card

log = logging.getLogger(__name__)


def empty(model: str | None, tab: str = "generate") -> RunView:
    """The screen of a tab before a run of a model."""
    if not model:
        return RunView()
    card = get_card(model, "generator")
    example = example_strip(model)
    return RunView(
        schedule=card.schedule,
        size=(card.resolution, card.resolution),
        promise=tabs.words(tab).promise,
        example=example if example and tabs.of(example.spec.task) == tab else None,
        looks_back="kv-cache" in card.offers,
    )


def _specs(form: Form, given: Mapping[str, Any], after: str = "") -> Iterator[RunSpec]:
    yield form.spec(given)


@partial(on_gpu, specs=_specs)
def run(form: Form, given: Mapping[str, Any], after: str = "") -> Iterator[RunView]:
    """Draw what the form asks for: the view after every event, errors included.

    Closing the iterator stops the run and frees its memory. So does its time limit.

    Args:
        after: id of the run that drew the picture it starts from, for tasks that go step by step.
    """
    view = RunView()
    try:
        spec, pictures = form.request(given)
        if after and methods.get("task", spec.task).step:
            spec = spec.replace(inputs={**spec.inputs, "after": after})
        planned = plan(spec)
        view = empty(spec.model).loading(planned.schedule, before(planned, pictures))
        yield replace(view, handed=pictures)
        kept = Kept(planned.schedule)
        observe = None if planned.cache.preallocates else kept
        with closing(api.stream(planned, images=pictures, observe=observe)) as events:
            for event in in_time(events):
                shown, view = view, view.after(event)
                if view.images:
                    view = replace(view, kept=kept.pictures(view.images[0]))
                if view is not shown:
                    yield view
    except VarSpacesError as error:
        yield view.failed(str(error))
    except Exception:
        log.exception("A run failed.")
        yield view.failed(UNEXPECTED)


def restore(form: Form, path: str | Path) -> RunSpec:
    """The run spec inside a picture (or JSON file) that a visitor hands in; nothing is trusted.

    Raises:
        VarSpacesError: if there is none, it is damaged, or it cannot run here.
    """
    return accept(form.tab, RunSpec.from_file(path))


def accept(tab: str, spec: RunSpec) -> RunSpec:
    """The spec of a stranger in canonical spelling, if the form of a tab can show it.

    Raises:
        VarSpacesError: if it cannot run here.
    """
    spec = plan(spec).spec
    if spec.task not in tabs.tasks(tab):
        place = tabs.of(spec.task)
        if not place:
            raise VarSpacesError(f"The page has no tab for the task '{spec.task}'.")
        raise VarSpacesError(
            f"This picture was made by the task '{spec.task}': restore it in the tab "
            f"{tabs.words(place).title}."
        )
    if spec.schedule is not None:
        raise VarSpacesError(
            "This picture was drawn with token maps of its own, which this form does not show: use "
            "python -m var_spaces generate --spec FILE.png."
        )
    return spec


def changed(form: Form, key: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Values of a form after a field changed.

    Another model brings its defaults, and what to draw stays if it can; else they stay as given.
    """
    if key != "model":
        return given
    return form.defaults(get_card(given["model"] or "", "generator"), keep=given)


def example(form: Form, number: int, model: str, task: str) -> dict[str, Any]:
    """Values of an example; the picture it starts from is drawn by the model itself."""
    card = get_card(model or "", "generator")
    known = examples(task, card)
    if not 0 <= number < len(known):
        raise VarSpacesError("There is no such example: reload the page.")
    chosen = known[number]
    asked = card.usual_inputs(task) | dict(chosen.inputs)
    filled = form.defaults(card, {"task": task})
    for field in form.fields:
        if field.role == "input" and task in field.tasks and not field.is_picture:
            value = asked.get(field.option.field, field.option.default)
            filled[field.key] = show(value, field.option)
        elif field.is_picture and field.option.field == MAIN and chosen.scene:
            (pixels,) = scenes([chosen.scene])
            filled[field.key] = _held(pixels, chosen, bool(field.mask))
        elif field.is_picture and chosen.source:
            filled[field.key] = _start(model, chosen, bool(field.mask))
    return {**filled, "seed": str(chosen.seed)}


@on_gpu
def _start(model: str, chosen: Example, drawn_on: bool) -> Any:
    """The picture that an example starts from, as its control holds it."""
    settings = {"class_": chosen.source.get("class"), "style": chosen.source.get("style")}
    with refusing():  # here already: of another error a borrowed process tells the class alone
        (image,) = api.generate(model=model, task="generate", seed=chosen.seed, **settings)
    return _held(np.asarray(image), chosen, drawn_on)


def _held(pixels: np.ndarray, chosen: Example, drawn_on: bool) -> Any:
    """A picture as its control holds it, with the region of the example painted on it."""
    region = chosen.region and rectangle_mask(chosen.region, *pixels.shape[:2])
    return for_editor(pixels, region) if drawn_on else pixels


def before(planned: Plan, pictures: Mapping[str, np.ndarray]) -> str:
    """The picture a run starts from as the model sees it; empty if it starts from none."""
    task, field = planned.task, planned.task.starts_from
    if not field or getattr(task, field) not in pictures:
        return ""
    side, (height, width) = planned.card.resolution, planned.schedule.last
    per_token = side // planned.card.schedule.last[0]
    seen = task.beside(height * per_token, width * per_token, pictures)
    return "" if seen is None else preview(seen)


def first_model(tab: str) -> str | None:
    """The model that a fresh tab starts with."""
    return next(iter(fits.models(tab)), None)
