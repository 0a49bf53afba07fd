"""Subjects in the embedded text model: fine-tuned in several ways, and taken in from one picture.

Things are those of the suite ``embedded-subject``, held out from all training; every case draws the
suite's prompts, plain pictures of the class and seeds of one prompt, with the same seeds, and is
scored by the suite's metrics. Finished cells are kept in ``--cells`` and not run again.

    python benchmarks/subjects.py --subjects 4
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from cells import Cells, parsed
from drawn import draw, measured
from report import fingerprint, table, write

from leaderboard.item import Item
from leaderboard.subjects import subject
from leaderboard.subjects.base import Subject
from leaderboard.suites.base import get_suite
from var_spaces import methods
from var_spaces.adapters.base import Given, Loaded, Prepared
from var_spaces.adapters.echo_run import EchoRun, Seen
from var_spaces.adapters.subject_layers import SubjectLayers
from var_spaces.cpu import without_denormals
from var_spaces.training.images.pictures import grid
from var_spaces.training.personal import as_batch
from var_spaces.training.subjects.settings import LORA, SubjectSettings
from var_spaces.training.subjects.tuning import SubjectTuning
from var_spaces.zoo.cards import get_card, known
from var_spaces.zoo.residency import LoadedModel, Residency

USUAL = SubjectSettings()
TUNED: dict[str, SubjectSettings] = {
    "ARBooth": USUAL,
    "published drop and weight": replace(USUAL, drop_text=0.1, prior_weight=0.5),
    "without the prior": replace(USUAL, prior="none"),
    "without scale weights": replace(USUAL, fine=1.0),
    "all layers": replace(USUAL, layers=SubjectLayers(sa=True)),
    "prior per bit": replace(USUAL, prior="per-bit"),
    "published teacher": replace(USUAL, published_teacher=True),
    "LoRA": LORA,
}
ECHO = {"EchoGen": (True, True), "semantic only": (True, False), "content only": (False, True)}
BASE_OF_ECHO = "no subject, EchoGen's base"
SHOWN = (0, 1, 2, 4, 10, 15)  # prompts in the picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="t2i-bit")
    parser.add_argument("--echo", default="echo-bit", help="trained subject adapter, if it is here")
    parser.add_argument("--subjects", type=int, default=4, help="1 to 16")
    parser.add_argument("--steps", type=int, default=USUAL.steps)
    parser.add_argument("--cases", nargs="*", help="some of the cases (all)")
    options = parsed(parser, "subjects")
    with without_denormals():
        report(options, cells(options))


def cells(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Numbers of every case and subject, from files or measured now."""
    items = get_suite("embedded-subject").items()
    things = list(dict.fromkeys(item.facts["subject"] for item in items))[: options.subjects]
    models = {"no subject": options.base} | dict.fromkeys(TUNED, options.base)
    if options.echo in known("generator"):
        if get_card(options.echo).base != options.base:
            models[BASE_OF_ECHO] = get_card(options.echo).base
        models |= dict.fromkeys(ECHO, options.echo)
    kept, zoo = Cells(options.cells, options.minutes), Residency()
    asked: dict[str, tuple[str, str]] = {}
    for thing in things:
        for case, model in models.items():
            if options.cases and case not in options.cases:
                continue
            weights = get_card(model).weights_sha256
            key = fingerprint(weights, str(TUNED.get(case)), str(options.steps))
            asked[f"{case}-{thing.split('/')[1]}-{key}"] = (case, thing)

    def measure(name: str) -> dict[str, Any]:
        case, thing = asked[name]
        own = [item for item in items if item.facts["subject"] == thing]
        with zoo.lease([models[case]], "cpu", text=True) as (one,):
            cell, images = numbers(case, one, subject(thing), own, options.steps)
        pixels = torch.from_numpy(images[list(SHOWN)]).permute(0, 3, 1, 2) / 127.5 - 1
        grid(pixels, len(SHOWN)).save(kept.path(name).with_suffix(".png"))
        return {"case": case, "subject": thing, **cell}

    return list(kept.of(list(asked), measure))


def numbers(
    case: str, model: LoadedModel, thing: Subject, items: Sequence[Item], steps: int
) -> tuple[dict[str, float], np.ndarray]:
    """Scores of one case for one subject, and its images."""
    start = time.process_time()
    prepared, without = Prepared(), Prepared()
    if case in TUNED:
        pictures = as_batch(list(thing.pictures), model.card.resolution)
        tuning = SubjectTuning(model, pictures, thing.word, replace(TUNED[case], steps=steps))
        for _ in tuning.run():
            pass
        tuning.own.eval().requires_grad_(False)
        prepared = without = tuning.prepared
    elif case in ECHO:
        prepared, without = (echo(model, thing, seen) for seen in (ECHO[case], (False, False)))
    seconds = time.process_time() - start
    drawn: dict[int, np.ndarray] = {}
    for plain, adapter in ((False, prepared), (True, without)):
        chosen = [item for item in items if (item.facts["group"] == "prior") == plain]
        prompts = [i.inputs["prompt"] if case in TUNED else i.facts["caption"] for i in chosen]
        images = draw(model, chosen, prompts, adapter)
        drawn |= {item.index: image for item, image in zip(chosen, images, strict=True)}
    images = np.stack([drawn[item.index] for item in items])
    found = measured(get_suite("embedded-subject").metrics(), items, images)
    scores = {name: float(values.mean()) for name, values in found.items()}
    return {**scores, "seconds": seconds}, images


def echo(model: LoadedModel, thing: Subject, ways: tuple[bool, bool]) -> EchoRun:
    """The subject adapter with its first picture, seen in one way, in both or in none."""
    adapter = methods.parse("adapter", model.card.adapter)
    seen = adapter.see(model.tokenizer, as_batch([thing.pictures[0]], adapter.side))
    loaded = Loaded(model.backbone, model.tokenizer, model.adapter, model.text_encoder)
    found = adapter.prepare(loaded, Given(model.backbone.schedule))
    found.seen = Seen(
        *(
            part if way else None
            for part, way in zip((seen.semantic, seen.content), ways, strict=True)
        )
    )
    return found


HEAD = {
    "subject-clip-i": "CLIP-I ↑",
    "subject-distance": "distance ↓",
    "subject-class": "class right ↑",
    "subject-prompt": "prompt followed ↑",
    "subject-clip-t": "CLIP-T ↑",
    "subject-pres": "PRES ↓",
    "subject-prior-class": "class right without the subject ↑",
    "subject-diversity": "diversity ↑",
    "seconds": "CPU seconds per subject",
}


# What the paper says of parts that are left out, as directions of our scores. Its tables of numbers
# could not be had.
CLAIMS: dict[str, tuple[tuple[str, int], ...]] = {
    "without the prior": (
        ("subject-pres", 1),
        ("subject-prior-class", -1),
        ("subject-diversity", -1),
    ),
    "without scale weights": (("subject-clip-i", -1), ("subject-distance", 1)),
    "all layers": (("subject-clip-t", -1), ("subject-prompt", -1), ("subject-diversity", -1)),
}


def report(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    cases = list(dict.fromkeys(row["case"] for row in rows))
    means = {
        case: {name: float(np.mean([r[name] for r in rows if r["case"] == case])) for name in HEAD}
        for case in cases
    }
    scores = [name for name in HEAD if name != "seconds"]
    lines = [
        [case, *(means[case][name] for name in scores), f"{means[case]['seconds']:.0f}"]
        for case in cases
    ]
    text = table(["case", *HEAD.values()], lines)
    if options.echo in known("generator"):
        text += f"\n\nEchoGen is {options.echo}, beside {get_card(options.echo).base}."
    else:
        text += f"\n\nEchoGen has no rows here: {options.echo} was not among the models."
    text += (
        f"\n\n{options.subjects} things that no model was trained on, four pictures each, "
        f"{options.steps} iterations on {options.base}; 28 images per thing and case, the same "
        "seeds in all. Similarities are those of the embedded CLIP and the embedded judge, and "
        "comparable with no published number.\n\n" + order(rows)
    )
    write("subjects", "Subjects", {"means": means, "cells": rows}, text)


def order(rows: list[dict[str, Any]]) -> str:
    """Does leaving a part out cost what the paper says, and for how many of the things?"""
    found = {(row["case"], row["subject"]): row for row in rows}
    lines = []
    for case, claims in CLAIMS.items():
        things = [thing for one, thing in found if one == case and ("ARBooth", thing) in found]
        for name, sign in claims if things else ():
            more = [found[case, t][name] - found["ARBooth", t][name] for t in things]
            lines.append([case, *claimed(name, sign, more)])
    head = ["left out", "score", "the paper", "here, mean difference", "things that agree"]
    return "## Does the paper's order hold?\n\n" + table(head, lines)


def claimed(name: str, sign: int, found: Sequence[float]) -> list[str]:
    """Cells of a score: its title, the direction that is claimed, the mean of what was found, one
    number a thing, and how many of them agree."""
    right = sum(sign * one > 0 for one in found)
    claim = "more" if sign > 0 else "less"
    return [HEAD[name], claim, f"{np.mean(found):+.3g}", f"{right} of {len(found)}"]


if __name__ == "__main__":
    main()
