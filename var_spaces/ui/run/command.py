"""The command line that repeats a run of the page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from var_spaces import methods
from var_spaces.spec import RunSpec
from var_spaces.ui.form.values import KINDS
from var_spaces.ui.words import asked
from var_spaces.validation import freeze
from var_spaces.zoo.cards import Card

STEM_LETTERS = 80  # of a file's name


def command(spec: RunSpec, card: Card) -> str:
    """``python -m var_spaces generate ...`` with what differs from the defaults of the card.

    Pictures are in files of the visitor: the command names them after their inputs.
    """
    task = methods.get("task", spec.task)
    words = ["python", "-m", "var_spaces", "generate", "--model", spec.model]
    words += ["--task", spec.task] if spec.task != card.default_task else []
    usual = card.usual_inputs(spec.task)
    for option in methods.cli_options(task):
        value = spec.inputs.get(option.field)
        if value is None and option.field in usual:  # left out of the spec, since it came later
            value = option.default
        if value is not None and option.content in ("picture", "mask"):
            value = f"{option.field}.png"
        told = value is not None and value != usual.get(option.field)
        words += _flag(option.flag, value) if told else []
    words += ["--seed", str(spec.seed)]
    words += ["--n", str(spec.count)] if spec.count != 1 else []
    words += ["--first", str(spec.first)] if spec.first else []
    maps = [f"{height}x{width}" for height, width in spec.schedule or ()]
    words += ["--schedule", ",".join(maps)] if maps else []
    for kind in KINDS:
        words += _method(kind, getattr(spec, kind), card.default(kind))
    return shlex.join([*words, "--out", f"{stem(spec)}.png"])


def _method(kind: str, chosen: Mapping[str, Any], usual: Any) -> Iterator[str]:
    usual = freeze(methods.dump(methods.parse(kind, usual)))
    if chosen["name"] != usual["name"]:
        yield from (f"--{kind}", chosen["name"])
        usual = freeze(methods.dump(methods.parse(kind, chosen["name"])))
    for option in methods.cli_options(methods.get(kind, chosen["name"])):
        value = freeze(chosen.get(option.field, option.default))
        if value != usual.get(option.field, option.default):
            words = methods.FLAG_PREFIXES[kind], option.flag.removeprefix("--")
            yield from _flag(f"--{'-'.join(filter(None, words))}", value)


def _flag(flag: str, value: object) -> list[str]:
    if value is True:
        return [flag]
    if value is False:
        return [flag.replace("--", "--no-", 1)]
    text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]  # it is no flag itself


def stem(spec: RunSpec) -> str:
    """Name for files of a run: ``red-apple-soft-7``, safe on every system."""
    words = re.sub(r"[^a-z0-9]+", "-", "-".join(asked(spec)).lower()).strip("-")
    seed = str(spec.seed)
    return f"{words[: STEM_LETTERS - len(seed)].rstrip('-') or 'picture'}-{seed}"
