"""The Python interface: ``load`` a model, ``generate`` images, ``stream`` the events of a run.

Importing this module needs no torch; running does.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from var_spaces.errors import InputError, VarSpacesError, did_you_mean
from var_spaces.events import Event, Finished, Started
from var_spaces.methods import get
from var_spaces.spec import RunSpec
from var_spaces.tasks.base import SHA256, Task
from var_spaces.tasks.plan import Plan, plan
from var_spaces.zoo.cards import Card, get_card
from var_spaces.zoo.places import is_personal

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from var_spaces.decoding.setup import Observer

# Keywords of generate() and stream() that are parameters of a method, by method kind.
METHOD_OF = {
    "top_k": "sampling",
    "top_p": "sampling",
    "temperature": "sampling",
    "smooth": "sampling",
}
IMAGE = "image"  # stands for the first picture of a task
SPEC_FIELDS = ("task", "schedule", "cache", "decoding", "seed", "count", "first")


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model: ``card``, ``tokenizer`` and, for generators, ``backbone``.

    Of an adapter's card ``backbone`` is the base, shared by all its adapters, and ``adapter`` the
    module that extends it.
    """

    card: Card
    tokenizer: Any
    backbone: Any
    adapter: Any = None

    @property
    def device(self) -> torch.device:
        return next(self.tokenizer.parameters()).device

    def to(self, device: str | torch.device) -> Model:
        """The same model on another device. Models are shared, so this one stays where it is."""
        return load(self.card.id, device)

    def generate(self, **settings: Any) -> list[Image.Image]:
        """Images of this model; see :func:`generate`."""
        return generate(model=self.card.id, **{"device": self.device, **settings})

    def stream(self, **settings: Any) -> Iterator[Event]:
        """Events of a run of this model; see :func:`stream`."""
        return stream(model=self.card.id, **{"device": self.device, **settings})


def load(model: str, device: str | torch.device | None = None) -> Model:
    """Load a model, or return the one in memory.

    Args:
        model: id of a card, e.g. ``"var-small"``; ``python -m var_spaces models`` lists them.
        device: where to; None is ``VAR_SPACES_DEVICE``, else CUDA if there is one, else the CPU.

    Raises:
        VarSpacesError: for an unknown model, damaged weights or a device this machine lacks.
    """
    get_card(model)
    from var_spaces.zoo.residency import ZOO

    loaded = ZOO.model(model, device)
    return Model(loaded.card, loaded.tokenizer, loaded.backbone, loaded.adapter)


def generate(
    spec: RunSpec | Mapping[str, Any] | None = None,
    *,
    device: str | torch.device | None = None,
    images: Mapping[str, Any] | None = None,
    **settings: Any,
) -> list[Image.Image]:
    """Draw images.

    Args:
        spec: a run spec, or its plan; or leave it out and give ``settings`` of :func:`make_spec`.
        device, images: as for :func:`stream`.

    Returns:
        One image per ``count``. Each carries its own spec: in ``image.info["var-spaces"]`` and in
        the PNG file when it is saved as one.

    Raises:
        VarSpacesError: in one line, before any work, if something does not fit.

    Warns:
        UserWarning: about what is not read of a prompt: its end, or words that are not known; about
            what a cache policy cannot do as asked.
    """
    for event in stream(spec, previews=False, device=device, images=images, **settings):
        match event:
            case Started(notes=notes):
                for note in notes:
                    warnings.warn(note, stacklevel=2)
            case Finished() as last:
                pass
    return [_picture(pixels, last.record.spec, i) for i, pixels in enumerate(last.images)]


def stream(
    spec: RunSpec | Plan | Mapping[str, Any] | None = None,
    *,
    previews: bool = True,
    device: str | torch.device | None = None,
    images: Mapping[str, Any] | None = None,
    observe: Observer | None = None,
    **settings: Any,
) -> Iterator[Event]:
    """Run a spec and yield its events; close the iterator to stop and free everything.

    Args:
        spec: a run spec; or leave it out and give ``settings`` of :func:`make_spec`.
        previews: decode the images after every scale.
        device: where to run; None is the engine that ``VAR_SPACES_ENGINE`` names, if it does, else
            as for :func:`load`.
        images: PIL images, arrays or files that the spec names by content hash.
        observe: called with every intermediate result (see ``decoding/loop/run.py``). Of a run
            elsewhere it is told what its attribute ``watches`` names.

    Raises:
        VarSpacesError: at once, before any work, if something does not fit.
    """
    handed = dict(images or {})
    if spec is None:
        spec, more = make_spec(**settings)
        handed |= more
    elif settings:
        raise VarSpacesError(
            f"Give a spec or settings, not both: {', '.join(sorted(settings))} came with a spec; "
            "change the spec with spec.replace(...)."
        )
    if isinstance(spec, Plan):
        planned = spec
    else:
        planned = plan(spec if isinstance(spec, RunSpec) else RunSpec(**spec))
    handed = planned.read_pictures(handed)

    from var_spaces.remote.address import address
    from var_spaces.remote.engine import engine
    from var_spaces.remote.turns import in_turn

    own = is_personal(planned.card.folder)
    if device is None and not own and (elsewhere := engine()):
        return elsewhere.stream(planned, handed, previews, observe)

    from var_spaces.tasks.run import run
    from var_spaces.zoo.placement import resolve
    from var_spaces.zoo.residency import ZOO

    place = resolve(device)
    events = run(planned, ZOO, pictures=handed, previews=previews, device=place, observe=observe)
    return in_turn(events) if own and address() else events


def make_spec(model: str, **settings: Any) -> tuple[RunSpec, dict[str, Any]]:
    """A run spec from keywords, completed with the defaults of the model's card.

    Args:
        model: id of a card.
        settings: ``class_`` (or ``label``), ``style`` and other inputs of the task; ``seed``,
            ``count``, ``first``, ``task``, ``cache``, ``decoding``, ``schedule``; ``guidance`` as a
            number or a method; ``sampling`` as a method, or its ``top_k``, ``top_p``,
            ``temperature``, ``smooth``; pictures of the task by their names, each as a path, the
            bytes of a file, a PIL image, an array or the hash of one that is handed in
            separately. ``image`` stands for the first of them.

    Returns:
        The spec, and the pictures it names by content hash.

    Raises:
        VarSpacesError: for an unknown keyword or a value that is refused.
    """
    card = get_card(model, "generator")
    fields: dict[str, Any] = {"model": model, "task": card.default_task}
    fields |= {kind: card.default(kind) for kind in ("cache", "decoding")}
    inputs: dict[str, Any] = {}
    methods = {kind: card.default(kind) for kind in ("sampling", "guidance")}
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        if key in SPEC_FIELDS:
            fields[key] = value
        elif key in METHOD_OF:
            changes[key] = value
        elif key == "guidance" and isinstance(value, int | float | list | tuple):
            methods[key] = {**methods[key], "scale": value}
        elif key in methods:
            methods[key] = value
        elif key in ("class_", "label"):
            inputs["class"] = value
        else:
            inputs[key] = value
    if changes:
        if not isinstance(methods["sampling"], Mapping):
            raise VarSpacesError(f"Give {', '.join(changes)} inside the sampling method.")
        methods["sampling"] = {**methods["sampling"], **changes}
    inputs = card.usual_inputs(fields["task"]) | inputs
    task = get("task", fields["task"])
    pictures = _take_pictures(task, inputs)
    _check_inputs(task, inputs)
    try:
        return RunSpec(**fields, **methods, inputs=inputs), pictures
    except InputError as error:
        raise error.given_as(lambda field: f"{field}=...") from None


def _check_inputs(task: type[Task], inputs: Mapping[str, Any]) -> None:
    """Name a mistyped keyword as what it is, with every keyword that would do."""
    known = task.field_names()
    every = ["class_", "style", "guidance", "sampling", *METHOD_OF, *SPEC_FIELDS, *known]
    for key in inputs:
        if key == IMAGE:
            raise VarSpacesError(f"Task '{task.name}' takes no pictures: leave '{IMAGE}' out.")
        if key not in known:
            near = did_you_mean(key, every)
            listed = ", ".join(known)
            raise VarSpacesError(
                f"Unknown setting '{key}' of task '{task.name}'.{near} Its inputs: {listed}."
            )


def _take_pictures(task: type[Task], inputs: dict[str, Any]) -> dict[str, Any]:
    """Replace pictures among the inputs by their content hashes; returns them by hash.

    ``image`` stands for the first picture of the task.
    """
    fields = task.picture_fields()
    if IMAGE in inputs and fields:
        first = next(iter(fields))
        if inputs.get(first) is not None:
            raise VarSpacesError(
                f"'{IMAGE}' stands for '{first}', which is given, too: leave one out."
            )
        inputs[first] = inputs.pop(IMAGE)
    given = {
        name: inputs.pop(name)
        for name in fields
        if not (inputs.get(name) is None or _is_hash(inputs[name]))
    }
    hashes, pixels = task.take(given)
    inputs |= hashes
    return pixels


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(SHA256, value) is not None


def image_spec(spec: RunSpec, position: int) -> RunSpec:
    """The spec that draws one image of a run alone."""
    return spec.replace(count=1, first=spec.first + position)


def _picture(pixels: Any, spec: RunSpec, position: int) -> Image.Image:
    """A PIL image that carries its spec, also into PNG files."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from var_spaces.codecs import PNG_KEYWORD

    text, keyword = image_spec(spec, position).to_json(), PNG_KEYWORD.decode()
    image = Image.fromarray(pixels)
    chunk = PngInfo()
    chunk.add_text(keyword, text)
    image.info[keyword] = text
    image.encoderinfo = {"pnginfo": chunk}  # what Image.save adds to its own arguments
    return image
