"""The form of a tab as data: its fields, and how their values become a run spec and back.

Fields come from the classes of the tab's tasks and of all methods; nothing here knows any of them
by name, and nothing here knows the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from var_spaces import methods
from var_spaces.methods import Option
from var_spaces.ranges import Bounds
from var_spaces.spec import RunSpec
from var_spaces.ui import tabs
from var_spaces.ui.form import examples, fits
from var_spaces.ui.form.field import ROLES, Field, Role
from var_spaces.ui.form.pictures import KEPT, SKETCHES, blank, held, is_empty, sketched, taken
from var_spaces.ui.form.values import KINDS, read, read_methods, show, shown_methods
from var_spaces.validation import bounds
from var_spaces.zoo.cards import Card, base_of, cards

if TYPE_CHECKING:
    import numpy as np

RUN_FIELDS = ("seed", "count", "first")


@dataclass(frozen=True)
class Form:
    """All fields of a tab; values of controls are handed around by the key of their field.

    Attributes:
        roles: of the fields; fewer than all make a part of a form, which has values but no spec.
    """

    tab: str
    roles: tuple[Role, ...] = ROLES

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Tasks of the tab; which of them a model does is for the model to say."""
        return tabs.tasks(self.tab)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        found = [Field("model", "model", _text("model")), Field("task", "task", _text("task"))]
        found += _inputs(self.tasks)
        found += [Field(name, "run", _run_option(name)) for name in RUN_FIELDS]
        found.append(Field("methods", "methods", _text("methods")))
        return tuple(field for field in found if field.role in self.roles)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(field.key for field in self.fields)

    @property
    def edits(self) -> bool:
        """Whether what comes of it is another version of the picture that was handed in."""
        return any(methods.get("task", name).edits for name in self.tasks)

    @property
    def takes_pictures(self) -> bool:
        return any(field.is_picture for field in self.fields)

    def field(self, key: str) -> Field:
        return self.fields[self.keys.index(key)]

    # --- values to a run --------------------------------------------------------------------------

    def request(self, given: Mapping[str, Any]) -> tuple[RunSpec, dict[str, Any]]:
        """The run spec of a filled form, and the pictures that it names by content hash.

        Parameters of methods and inputs of tasks that are not chosen are left out.

        Raises:
            VarSpacesError: for a value that is refused.
        """
        named, pictures = self.handed(given)
        return self.run(given, named), pictures

    def handed(self, given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
        """Content hashes of the pictures of filled controls by input, and pixels by content hash.

        Raises:
            VarSpacesError: if one is missing, or cannot be used.
        """
        given, named, pictures = dict(given), {}, {}
        for field in self.fields:
            if field.is_picture and given["task"] in field.tasks:
                if field.key in SKETCHES and given[field.key] is not KEPT:
                    given[field.key] = sketched(given[field.key], _strokes(given))
                if not field.option.required and is_empty(given[field.key]):
                    continue
                chosen = field if given["task"] in field.mask_tasks else replace(field, mask="")
                names, pixels = taken(given[field.key], chosen)
                named |= names
                pictures |= pixels
        return named, pictures

    def run(self, given: Mapping[str, Any], named: Mapping[str, str]) -> RunSpec:
        """The run spec of a filled form, given the content hashes of its pictures.

        Raises:
            VarSpacesError: for a value that is refused.
        """
        data: dict[str, Any] = {"task": given["task"] or "", "inputs": dict(named)}
        for field in self.fields:
            if field.role == "methods":
                data |= read_methods(given[field.key])
                continue
            value = None if field.is_picture else read(given[field.key], field.option)
            match field.role:
                case "input" if value is not None and given["task"] in field.tasks:
                    data["inputs"][field.option.field] = value
                case "model":
                    data["model"] = value or ""
                case "run" if value is not None:
                    data[field.key] = value
        return RunSpec(**data)

    def plain(self, card: Card, task: str | None = None) -> RunSpec:
        """The run of a form that nobody has filled yet; what a visitor is to give is blank.

        Args:
            task: of the tab that the model does; None is what it is for.
        """
        given = self.defaults(card, {"task": task})
        for field in self.fields:
            if field.is_picture:
                given[field.key] = None if field.key in SKETCHES else blank(bool(field.mask))
            elif field.role == "input" and field.option.required:
                given[field.key] = given[field.key] or "?"
        return self.spec(given)

    def shown(self, given: Mapping[str, Any], **known: str) -> dict[str, Any]:
        """Values without those of hidden inputs, which the chosen model or task has no use for.

        The browser keeps what was typed before another model was chosen.

        Args:
            known: ``model`` and ``task`` of a part of a form that does not hold them.
        """
        given = {**known, **given}
        card = cards("generator").get(given["model"])
        return {
            field.key: given[field.key] if applies(field, card, given["task"]) else None
            for field in self.fields
        }

    def spec(self, given: Mapping[str, Any]) -> RunSpec:
        """The run spec of a filled form; see :meth:`request`."""
        return self.request(given)[0]

    # --- a run, or a model, to values -------------------------------------------------------------

    def values(
        self, spec: RunSpec, pictures: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, Any]:
        """The values that fill the form with a spec.

        Args:
            pictures: by content hash; controls of those that are not among them stay as they are.
        """
        return {
            field.key: held(field, spec, pictures or {})
            if field.is_picture
            else shown_methods({kind: getattr(spec, kind) for kind in KINDS})
            if field.role == "methods"
            else show(self._value(field, spec), field.option)
            for field in self.fields
        }

    def _value(self, field: Field, spec: RunSpec) -> Any:
        match field.role:
            case "model" | "run" | "task":
                return getattr(spec, field.key)
            case "input":
                chosen = spec.inputs if spec.task in field.tasks else {}
                return chosen.get(field.option.field, field.option.default)
        raise AssertionError(field.role)

    def defaults(self, card: Card, keep: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Values with the defaults of a model's card.

        Args:
            keep: values by key of a form for another model: its task and inputs stay where this
                model knows them, and so do seed and number of images.
        """
        keep = keep or {}
        possible = fits.tasks(self.tab, card)
        task = keep.get("task") if keep.get("task") in possible else possible[0]
        return {field.key: self._default(field, card, task, keep) for field in self.fields}

    def _default(
        self,
        field: Field,
        card: Card,
        task: str,
        keep: Mapping[str, Any],
    ) -> Any:
        match field.role:
            case "model":
                return card.id
            case "task":
                return task
            case "run":
                return keep.get(field.key, show(field.option.default, field.option))
            case "input" if field.is_picture:
                return KEPT
            case "input":
                return _input(field, card, task, keep)
        return shown_methods({kind: card.default(kind) for kind in KINDS})


def _strokes(given: Mapping[str, Any]) -> bool:
    """Whether what is drawn by hand stands for white on black, as the chosen kind has it."""
    kind = given.get("inputs.control")
    return isinstance(kind, str) and bool(kind) and methods.get("control", kind).drawn


def _inputs(tasks: Sequence[str]) -> list[Field]:
    """Inputs of some tasks; equal ones are shared."""
    found: dict[str, Field] = {}
    for task in tasks:
        options = methods.cli_options(methods.get("task", task))
        mask = next((option.field for option in options if option.content == "mask"), "")
        for option in options:
            if option.content in ("mask", "run"):  # what another input, or a run, fills in
                continue
            key = f"inputs.{option.field}"
            known = found.get(key)
            if known and known.option != option:
                key, known = f"inputs.{task}.{option.field}", None
            drawn = mask if option.content == "picture" else ""
            known = known or Field(key, "input", option)
            found[key] = replace(
                known,
                tasks=(*known.tasks, task),
                mask=known.mask or drawn,
                mask_tasks=(*known.mask_tasks, task) if drawn else known.mask_tasks,
            )
    return sorted(found.values(), key=lambda field: not field.is_picture)


def _input(field: Field, card: Card, task: str, keep: Mapping[str, Any]) -> Any:
    """What was asked for if this model knows it, else what a fresh form asks for."""
    kept, known = keep.get(field.key), card_choices(card, field)
    if kept in known if is_card_input(field) else kept not in (None, ""):
        return kept
    fresh = card.usual_inputs(task) | examples.start(task, card) if task in field.tasks else {}
    return show(fresh.get(field.option.field, field.option.default), field.option)


def is_card_input(field: Field) -> bool:
    """Whether the choices of an input are names that the model knows."""
    return field.role == "input" and field.option.field in ("class", "style")


def card_choices(card: Card | None, field: Field) -> tuple[str, ...]:
    """Names that a model offers for an input; empty if the input is free."""
    if card is None or field.role != "input":
        return ()
    return {"class": card.classes, "style": card.styles}.get(field.option.field, ())


def applies(field: Field, card: Card | None, task: str | None) -> bool:
    """Whether a model that does a task has a use for an input."""
    if field.role != "input" or card is None:
        return True
    needs = field.option.needs
    return task in field.tasks and (not needs or needs in base_of(card).offers)


def _text(name: str) -> Option:
    return Option(name, f"--{name}", str, False, True, None, "", (), Bounds())


def _run_option(name: str) -> Option:
    field = RunSpec.model_fields[name]
    flag = "--n" if name == "count" else f"--{name}"
    help_ = field.description or ""
    return Option(name, flag, int, False, False, field.default, help_, (), bounds(field))
