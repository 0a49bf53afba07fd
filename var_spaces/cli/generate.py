"""``python -m var_spaces generate``: flags -> run spec -> events -> one PNG file.

The flags of a method come from its class, so ``--cache NAME --help`` shows those of that cache
policy. Flags change what ``--spec`` (a JSON file or an earlier picture) says.
"""

from __future__ import annotations

import math
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from var_spaces import methods
from var_spaces.cli.arguments import (
    Parser,
    add_choices,
    add_method_flags,
    chosen,
    usage,
    with_flags,
)
from var_spaces.errors import InputError, VarSpacesError, printable
from var_spaces.paths import write_file
from var_spaces.spec import RunSpec, save_png
from var_spaces.tasks.plan import usual_model
from var_spaces.validation import shorten
from var_spaces.zoo.cards import get_card

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from var_spaces.events import Finished, ScaleDone

    Held = dict[tuple[str, int], Tensor]  # what a run reports, by name and scale

# Kinds a run is made of, with the prefix of their flags.
PLAIN_FIELDS = ("model", "seed", "count", "first", "schedule")
MAX_UPSCALE = 64
MAX_SIDE = 8192


def run(arguments: Sequence[str]) -> None:
    base = _base(arguments)
    parser = _parser(base)
    options = parser.read(arguments)
    out, scale = png_place(options, "out"), _upscale(options)
    kept = png_place(options, "kept") if "kept" in options else None
    if kept and kept.resolve() == out.resolve():
        raise VarSpacesError(f"--kept {kept} is where --out goes: name another file.")
    steps = _steps(base, options)
    for step in steps:  # refuse all before any is drawn
        _check_size(*_spec(base, step), scale)
    held: Held = {}
    for number, step in enumerate(steps, 1):
        last = number == len(steps)
        done = _watch(*_spec(base, step), held if kept and last else None)
        spec = done.record.spec  # as the model spells it: a class by its name
        place = out if last else out.with_stem(f"{out.stem}-{number}")
        write_file(place, save_png(grid(done.images), spec, scale))
        if not last:
            steps[number] |= {"task:source": done.images[0], "task:after": spec.id}
    if kept:
        write_file(kept, _kept_picture(held, spec, done))
    if "json" in options:
        print(done.record.to_json())
    else:
        print(f"{out}: {spec.count} x {spec.model}, {done.record.seconds:.2f} s, run {spec.id}")


# --- arguments -> run spec ------------------------------------------------------------------------


def _base(arguments: Sequence[str]) -> dict[str, Any]:
    """What holds before the flags of methods are read: the spec file, the card, chosen names."""
    parser = Parser("generate", "", add_help=False)
    _add_choices(parser)
    options = vars(parser.parse_known_args(arguments)[0])
    base: dict[str, Any] = {}
    if "spec" in options:
        base = RunSpec.from_file(options["spec"]).model_dump(mode="json")
        base["task"] = {"name": base["task"], **base.pop("inputs")}
    elif "model" not in options:
        options |= _usual_model(options.get("task"), arguments)
    if "spec" not in options and "model" in options and not {"-h", "--help"} & set(arguments):
        base = {**get_card(options["model"], role="generator").defaults}
    if "model" in options:
        base["model"] = options["model"]
    return {**base, **chosen(options, base, methods.FLAG_PREFIXES)}


def _usual_model(task: str | None, arguments: Sequence[str]) -> dict[str, str]:
    """A model for those who say what they want but not who draws it."""
    flags = {argument.partition("=")[0] for argument in arguments}
    if flags & {"--prompt", "--class", "--style"} and not flags & {"-h", "--help"}:
        return {"model": usual_model(task, "text" if "--prompt" in flags else "class-labels").id}
    return {}


def _add_choices(parser: Parser) -> None:
    parser.add_argument("--spec", metavar="FILE", help="start from a JSON file or from a picture")
    add_choices(parser, methods.FLAG_PREFIXES)


def _parser(base: Mapping[str, Any]) -> Parser:
    parser = Parser("generate", "Make images and write them to one PNG file.")
    _add_choices(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="0 to 2**63-1, default 0")
    parser.add_argument("--n", dest="count", type=int, metavar="N", help="images, 1 to 64")
    parser.add_argument(
        "--first", type=int, metavar="N", help="index of the first image, default 0"
    )
    parser.add_argument(
        "--schedule",
        type=schedule_sizes,
        metavar="A,B,...",
        help="tokens per side and scale: 1,2,3x4",
    )
    parser.add_argument("--out", metavar="FILE.png", required=True, help="where to write")
    parser.add_argument(
        "--kept",
        metavar="FILE.png",
        help="also draw which tokens the cache held: a row after each scale, a map for each of its "
        "scales, brighter where more layers and heads hold a token",
    )
    parser.add_argument("--scale", type=int, metavar="N", help="enlarge each pixel N times")
    parser.add_argument("--json", action="store_true", help="print the run record")
    for kind, prefix in methods.FLAG_PREFIXES.items():
        add_method_flags(parser, methods.get(kind, base[kind]["name"]), prefix)
    return parser


def schedule_sizes(text: str) -> list[tuple[int, int]]:
    """``1,2,3x4`` -> ``[(1, 1), (2, 2), (3, 4)]``."""
    if not re.fullmatch(r"\d{1,4}(x\d{1,4})?(,\d{1,4}(x\d{1,4})?)*", text):
        raise ArgumentTypeError(f"{shorten(text)} must list tokens per side, like 1,2,3x4")
    sides = [part.split("x") for part in text.split(",")]
    return [(int(side[0]), int(side[-1])) for side in sides]


def _spec(base: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[RunSpec, dict[str, Any]]:
    """The run spec, and the pictures that it names by content hash."""
    task = methods.get("task", base["task"]["name"])
    files = {name: options.get(f"task:{name}") for name in task.picture_fields()}
    hashes, pictures = task.take({name: file for name, file in files.items() if file is not None})
    options = {**options, **{f"task:{name}": value for name, value in hashes.items()}}
    fields = {**base, **{key: options[key] for key in PLAIN_FIELDS if key in options}}
    fields |= with_flags({kind: base[kind] for kind in methods.FLAG_PREFIXES}, options)
    inputs = fields.pop("task")
    try:
        return RunSpec(**fields, task=inputs.pop("name"), inputs=inputs), pictures
    except InputError as error:
        raise error.given_as(lambda field: usage(task, field)) from None


def _steps(base: Mapping[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Options of every run: one, or one for each time that the flag of a step was given. All runs
    but the last draw one image, which the next starts from."""
    flag = f"task:{methods.get('task', base['task']['name']).step}"
    given = options.get(flag)
    if not isinstance(given, list):
        return [options]
    steps = [{**options, flag: text, "count": 1} for text in given]
    steps[-1] = {**options, flag: given[-1]}
    return steps


def _check_size(spec: RunSpec, pictures: Mapping[str, Any], scale: int) -> None:
    task = methods.parse("task", {"name": spec.task, **spec.inputs})
    card = get_card(spec.model, role="generator")
    side = task.longest_side(card, pictures) * columns(spec.count) * scale
    if side > MAX_SIDE:
        raise VarSpacesError(
            f"The picture would be {side} pixels wide, allowed are {MAX_SIDE}: lower --scale."
        )


def png_place(options: Mapping[str, Any], name: str) -> Path:
    """Refuse a place that cannot be written before any work is done."""
    path = Path(options[name])
    if path.suffix.lower() != ".png":
        raise VarSpacesError(f"--{name} {path} must end in .png.")
    try:
        fits = not path.is_dir() and path.parent.is_dir() and os.access(path.parent, os.W_OK)
    except OSError:  # a name that is too long
        fits = False
    if not fits:
        raise VarSpacesError(f"--{name} {path} cannot be written: is its folder there?")
    return path


def _upscale(options: Mapping[str, Any]) -> int:
    scale = options.get("scale", 1)
    if not 1 <= scale <= MAX_UPSCALE:
        raise VarSpacesError(f"--scale {scale} is out of range: allowed is 1 to {MAX_UPSCALE}.")
    return scale


# --- events -> picture ----------------------------------------------------------------------------


def _watch(
    spec: RunSpec, pictures: Mapping[str, Any], held: dict[tuple[str, int], Tensor] | None
) -> Finished:
    """Run the spec and show its progress where a person looks; ``held`` gets what is kept."""
    from var_spaces.api import stream
    from var_spaces.events import Finished, ScaleDone, Started

    def keep(what: str, scale: int, tensor: Tensor) -> None:
        if what in ("kept", "pinned"):
            held.setdefault((what, scale), tensor)  # of the first image, of the first model

    total, finished = 0, None
    observe = None if held is None else keep
    for event in stream(spec, previews=False, images=pictures, observe=observe):
        match event:
            case Started():
                total = event.schedule.num_scales
                for note in event.notes:
                    print(f"note: {printable(note)}", file=sys.stderr)
            case ScaleDone() if sys.stderr.isatty():
                _progress(event, total)
            case Finished():
                finished = event
    return finished


def _kept_picture(held: Held, spec: RunSpec, done: Finished) -> bytes:
    """PNG of the maps over the first image."""
    import io

    from PIL import Image

    from var_spaces.cache.retention import history_picture
    from var_spaces.tasks.plan import plan

    after = [held[key] for key in sorted(held) if key[0] == "kept"]
    schedule = plan(spec).schedule
    picture = history_picture(after, schedule, done.images[0], held["pinned", 0])
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _progress(event: ScaleDone, total: int) -> None:
    height, width = event.size
    line = f"scale {event.scale + 1}/{total}  {height}x{width} tokens  {event.seconds:.2f} s"
    end = "\n" if event.scale + 1 == total else ""
    print(f"\r{line:<60}", end=end, file=sys.stderr, flush=True)


def grid(images: Sequence[np.ndarray]) -> np.ndarray:
    """Put images ``(H, W, 3)`` uint8 of one size side by side, row by row, on white."""
    import numpy as np

    height, width, _ = images[0].shape
    across = columns(len(images))
    down = math.ceil(len(images) / across)
    sheet = np.full((down * height, across * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        y, x = index // across * height, index % across * width
        sheet[y : y + height, x : x + width] = image
    return sheet


def columns(count: int) -> int:
    """Images per row of a nearly square grid."""
    return math.ceil(math.sqrt(count))
