"""Endpoints that take whole run specs, or none: compare, estimate, models, methods, leaderboard.

What a run spec leaves out has the default of the model's card, as on the page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import wraps
from typing import Any

import gradio as gr

from var_spaces import codecs, methods
from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan
from var_spaces.ui.api.states import board_state
from var_spaces.ui.api.uploading import PICTURE, Endpoint, add_with_uploads, typed
from var_spaces.ui.compare import comparing
from var_spaces.ui.compare.comparing import FEWEST, MOST, SHARED
from var_spaces.ui.queue.wiring import refusal, refusing
from var_spaces.validation import shorten
from var_spaces.zoo.cards import cards, get_card

MAX_ROWS = 1000
MOST_AT_ONCE = 8
MAX_MEMORY = 2**50  # bytes


def add_services() -> None:
    """Add the endpoints to the current Blocks."""
    for function, name in (
        (estimate, "estimate"),
        (list_models, "models"),
        (list_methods, "methods"),
        (leaderboard, "leaderboard"),
    ):
        gr.api(_refusing(function), api_name=name, concurrency_limit=MOST_AT_ONCE)

    add_with_uploads(comparison())


def _refusing(function: Callable) -> Callable:
    """The same function, whose refusals reach the caller as one line."""

    @wraps(function)
    def careful(*arguments: Any, **named: Any) -> Any:
        with refusing():
            return function(*arguments, **named)

    return careful


COMPARE = """Draw two to four run specs in turns, one scale of each after the other.

Every message of the stream is the state of all runs so far. The last one says how every pair
differs: token agreement, PSNR and SSIM per scale, the first token that differs, and where the
pictures differ as a picture. Pictures that are handed in are inputs of every run.
"""


def comparison() -> Endpoint:
    """A generator function of some runs, and of the pictures that tasks start from."""
    fields = {f for name in SHARED.tasks for f in methods.get("task", name).picture_fields()}
    names = sorted(fields)

    def draw(runs: Any, *pictures: Any) -> Iterator[dict[str, Any]]:
        given = {n: p for n, p in zip(names, pictures, strict=False) if p is not None}
        with refusing():
            specs, handed = _alike(runs, given)
        with closing(comparing.run(specs, handed)) as boards:
            for board in boards:
                if board.phase == "failed":
                    raise refusal(board.message)
                yield board_state(board)

    types = {"runs": list[dict[str, Any]], **dict.fromkeys(names, PICTURE | None)}
    return typed(draw, "compare", COMPARE, types)


def _alike(runs: Any, pictures: Mapping[str, Any]) -> tuple[list[RunSpec], dict[str, Any]]:
    """The runs, and their pictures by content hash.

    Args:
        pictures: that all of them start from, by field of their tasks.
    """
    if not isinstance(runs, list) or not FEWEST <= len(runs) <= MOST:
        raise VarSpacesError(f"Give a list of {FEWEST} to {MOST} run specs.")
    specs, handed = [], {}
    for run in runs:
        given = completed(run)
        task = methods.get("task", given.get("task", "generate"))
        for name in pictures:
            if name not in task.picture_fields():
                raise VarSpacesError(f"Task '{task.name}' takes no {name}: leave it out.")
        hashes, pixels = task.take(pictures)
        if hashes and isinstance(given.get("inputs", {}), Mapping):
            given["inputs"] = {**given.get("inputs", {}), **hashes}
        handed |= pixels
        specs.append(plan(RunSpec.from_json(codecs.canonical(given))).spec)
    if any(spec.count != 1 for spec in specs):
        raise VarSpacesError("A comparison is of one picture of each run: leave the count out.")
    return specs, handed


def list_models() -> list[dict[str, Any]]:
    """Models that can draw, as their cards describe them."""
    return [card.model_dump(mode="json") for card in cards("generator").values()]


def list_methods() -> list[dict[str, Any]]:
    """Methods of all kinds with the JSON schema of their parameters."""
    return [
        methods.describe(kind, name) for kind in methods.kinds() for name in methods.names(kind)
    ]


def estimate(run: dict[str, Any], memory: float | None = None) -> dict[str, Any]:
    """What a run needs in memory and GPU time, before anything is loaded.

    Bytes of weights and KV cache are exact, the others are estimates. "memory" is what there is in
    bytes; left out, what is free here now. "what_fits" is the smallest change that makes it fit.
    """
    from var_spaces.ui.queue.gpu import seconds
    from var_spaces.zoo.fitting import report

    planned = plan(request(run))
    found = report(
        planned.card,
        memory=_bytes(memory),
        cache=planned.cache,
        guidance=planned.guidance,
        decoding=planned.decoding,
        schedule=planned.schedule,
        count=planned.spec.count,
    )
    return {
        **vars(found.estimate),
        "total": found.estimate.total,
        "memory": found.memory,
        "fits": found.fits,
        "what_fits": found.remedy,
        "gpu_seconds": seconds([planned.spec]),
        "id": planned.spec.id,
    }


def _bytes(memory: Any) -> int | None:
    if memory is None:
        return None
    is_number = isinstance(memory, int | float) and not isinstance(memory, bool)
    if not is_number or not math.isfinite(memory) or not 0 <= memory <= MAX_MEMORY:
        raise VarSpacesError(
            f"memory = {shorten(memory)} must be bytes, a number from 0 to {MAX_MEMORY:,}."
        )
    return int(memory)


def leaderboard(suite: str | None = None, model: str | None = None) -> list[dict[str, Any]]:
    """Rows of the leaderboard, the newest of each entry, with their verdicts: of a suite, of a
    model, the 1000 newest at most, newest last. Rows with the verdict "mismatch" do not hold.

    A suite or a model that does not exist is refused; one without rows gives none.
    """
    from leaderboard.store import reading_stores
    from leaderboard.table.board import Source

    source = Source.of(reading_stores())
    newest = {row["id"] for row in source.newest}
    rows = [row for row in source.stamped if row["id"] in newest]
    wanted = {"suite": suite, "model": model}
    for key, value in wanted.items():
        _check_known(key, value, {row[key] for row in rows})
    found = [row for row in rows if all(v in (None, row[k]) for k, v in wanted.items())]
    parsed = ("entry", "scores", "costs")
    return [
        # gradio takes what has a "path" for a file to hand over
        {
            key: json.loads(value) if key in parsed else value
            for key, value in row.items()
            if key != "path"
        }
        for row in found[-MAX_ROWS:]
    ]


def _check_known(key: str, value: Any, found: set[str]) -> None:
    """Refuse a name that neither exists nor has a row."""
    known = found.union(methods.names("suite") if key == "suite" else cards("generator"))
    if value is not None and not (isinstance(value, str) and value in known):
        near = did_you_mean(str(value), known)
        listed = ", ".join(sorted(known))
        raise VarSpacesError(f"There is no {key} {shorten(value)}.{near} There are {listed}.")


def request(run: Mapping[str, Any]) -> RunSpec:
    """The run spec that a stranger's JSON object means.

    Raises:
        VarSpacesError: if it is refused.
    """
    return RunSpec.from_json(codecs.canonical(completed(run)))


def completed(run: Mapping[str, Any]) -> dict[str, Any]:
    """A stranger's JSON object with the defaults of the model's card.

    Raises:
        VarSpacesError: if it is no JSON object, or of no known model.
    """
    if not isinstance(run, Mapping):
        raise VarSpacesError(f"The run {shorten(run)} must be a JSON object, a run spec.")
    given = codecs.parse_json(codecs.canonical(run), "The run spec")
    card = get_card(str(given.get("model", "")), "generator")
    usual = json.loads(codecs.canonical(card.defaults))
    task = usual.pop("task", None)
    usual |= {"task": task["name"] if isinstance(task, Mapping) else task} if task else {}
    return {**usual, **given}
