"""What happens when a visitor does something, as plain functions that know no page.

Values come in the order of the form's fields; a run comes out as one :class:`RunView` per event.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from var_spaces import api
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan
from var_spaces.ui import fits
from var_spaces.ui.form import Form
from var_spaces.ui.gpu import on_gpu
from var_spaces.ui.limits import Limits
from var_spaces.ui.view import RunView
from var_spaces.zoo.cards import get_card

UNEXPECTED = "Something went wrong on this computer; its log says what. Please try again."

log = logging.getLogger(__name__)


def empty(model: str | None) -> RunView:
    """The page before a run of a model."""
    if not model:
        return RunView()
    card = get_card(model, "generator")
    return RunView(schedule=card.schedule, resolution=card.resolution)


def _specs(form: Form, values: Sequence[Any]) -> Iterator[RunSpec]:
    yield form.spec(values)


@partial(on_gpu, specs=_specs)
def run(form: Form, values: Sequence[Any]) -> Iterator[RunView]:
    """Draw what the form asks for: the view after every event, errors included.

    Closing the iterator stops the run and frees its memory. So does its time limit.
    """
    view = RunView()
    most = Limits.from_environment().max_run_seconds
    ending = time.monotonic() + most
    try:
        spec = plan(form.spec(values)).spec
        view = empty(spec.model).loading()
        yield view
        with closing(api.stream(spec)) as events:
            for event in events:
                shown, view = view, view.after(event)
                if view is not shown:
                    yield view
                if view.is_active and time.monotonic() > ending:
                    raise VarSpacesError(
                        f"The run was stopped after {most} seconds, the most that is allowed here: "
                        "ask for fewer pictures or a smaller model."
                    )
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
    return accept(form.task, RunSpec.from_file(path))


def accept(task: str, spec: RunSpec) -> RunSpec:
    """The spec of a stranger in canonical spelling, if the form of a task can show it.

    Raises:
        VarSpacesError: if it cannot run here.
    """
    spec = plan(spec).spec
    if spec.task != task:
        raise VarSpacesError(
            f"This picture was made by the task '{spec.task}', which has no form here."
        )
    if spec.schedule is not None:
        raise VarSpacesError(
            "This picture was drawn with token maps of its own, which this form does not show: use "
            "python -m var_spaces generate --spec FILE.png."
        )
    return spec


def change_model(form: Form, values: Sequence[Any]) -> list[Any]:
    """Values with the defaults of the model that was chosen; what to draw stays if it can."""
    given: Mapping[str, Any] = dict(zip(form.keys, values, strict=True))
    return form.defaults(get_card(given["model"] or "", "generator"), keep=given)


def first_model(task: str) -> str | None:
    """The model that a fresh page starts with."""
    return next(iter(fits.models(task)), None)
