"""Content and style of one picture apart, with and without each part of CSD-VAR.

Pictures and prompts are those of the suite ``embedded-style``, held out from all training; every
case draws them with the same seeds and is scored by the suite's metrics. Finished cells are kept in
``--cells`` and not run again.

    python benchmarks/styles.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from cells import Cells, parsed
from drawn import draw, measured
from PIL import Image
from report import FOLDER, fingerprint, table, write

from leaderboard.item import Item
from leaderboard.metrics.bootstrap import LEVELS, resampled_means
from leaderboard.styles import picture
from leaderboard.styles.base import Picture
from leaderboard.suites.base import get_suite
from var_spaces.adapters.base import Prepared
from var_spaces.adapters.content_style_run import ContentStyleRun, asked
from var_spaces.adapters.content_style_words import CONTENT, STYLE
from var_spaces.adapters.subject_layers import IT
from var_spaces.cpu import without_denormals
from var_spaces.training.personal import as_batch
from var_spaces.training.styles.settings import StyleSettings
from var_spaces.training.styles.tuning import StyleTuning
from var_spaces.training.subjects.settings import SubjectSettings
from var_spaces.training.subjects.tuning import SubjectTuning
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.residency import LoadedModel, Residency

FULL = StyleSettings()
LEARNED = {
    "full": FULL,
    "without scales": replace(FULL, scale_aware=False),
    "without rectification": replace(FULL, rank=0),
    "without memory": replace(FULL, slots=0),
    "none of the three": replace(FULL, scale_aware=False, rank=0, slots=0),
}
WORDS, SUBJECT = "words only", "subject fine-tuning"
CASES = (*LEARNED, WORDS, SUBJECT)
# A prompt, what its images are drawn with: by the suite's items of a picture.
Drawer = Callable[[str], tuple[str, Prepared]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="t2i-bit")
    parser.add_argument("--pictures", type=int, default=24, help="1 to 24")
    parser.add_argument("--steps", type=int, default=FULL.steps, help="updates of every training")
    parser.add_argument(
        "--cases", nargs="*", choices=CASES, default=CASES, help="some of the cases"
    )
    options = parsed(parser, "styles")
    with without_denormals():
        report(options, cells(options))


def cells(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Numbers of every case and picture, from files or measured now."""
    items = get_suite("embedded-style").items()
    names = list(dict.fromkeys(item.facts["picture"] for item in items))
    third = len(names) // len(UNSEEN)
    names = [name for row in range(third) for name in names[row::third]]
    kept, zoo = Cells(options.cells, options.minutes), Residency()
    asked_for = {
        cell_name(options, case, name): (case, name)
        for name in names[: options.pictures]
        for case in options.cases
    }

    def measure(cell: str) -> dict[str, Any]:
        case, name = asked_for[cell]
        own = [item for item in items if item.facts["picture"] == name]
        with zoo.lease([options.base], "cpu", text=True) as (model,):
            numbers, images = of(case, model, picture(name), own, options.steps)
        Image.fromarray(np.concatenate(images, 1)).save(kept.path(cell).with_suffix(".png"))
        return {"case": case, "picture": name, "unseen": own[0].facts["unseen"], **numbers}

    return list(kept.of(list(asked_for), measure))


def cell_name(options: argparse.Namespace, case: str, name: str) -> str:
    """Name of a cell: of the case, the picture, and all that the numbers depend on."""
    weights, suite = get_card(options.base).weights_sha256, get_suite("embedded-style").sha256
    key = fingerprint(weights, suite, str(settings_of(case, options.steps)))
    return f"{case}-{name.split('/')[1]}-{key}"


def settings_of(case: str, steps: int) -> StyleSettings | SubjectSettings | None:
    """How a case learns a picture; None for words."""
    if case in LEARNED:
        return replace(LEARNED[case], steps=steps)
    return SubjectSettings() if case == SUBJECT else None


def of(
    case: str, model: LoadedModel, one: Picture, items: Sequence[Item], steps: int
) -> tuple[dict[str, Any], np.ndarray]:
    """What the suite says of one case for one picture, and the images."""
    start = time.process_time()
    drawer = words(one)
    if case in LEARNED:
        drawer = learned(model, one, settings_of(case, steps))
    elif case == SUBJECT:
        drawer = tuned(model, one)
    seconds = time.process_time() - start
    images = np.stack([image for group in by_group(items) for image in drawn(model, group, drawer)])
    values = measured(get_suite("embedded-style").metrics(), items, images)
    listed = {name: [round(float(v), 5) for v in found] for name, found in values.items()}
    return {"seconds": seconds, "values": listed}, images


def by_group(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Items of one group each: they are drawn at once."""
    for group in dict.fromkeys(item.facts["group"] for item in items):
        yield [item for item in items if item.facts["group"] == group]


def drawn(model: LoadedModel, items: Sequence[Item], drawer: Drawer) -> list[np.ndarray]:
    found = [drawer(item.inputs["prompt"]) for item in items]
    return draw(model, items, [prompt for prompt, _ in found], found[0][1])


# --- what is learned of a picture -----------------------------------------------------------------


def learned(model: LoadedModel, one: Picture, settings: StyleSettings) -> Drawer:
    """CSD-VAR."""
    pixels = as_batch([one.pixels], model.card.resolution)
    tuning = StyleTuning(model, pixels, one.content, one.style, settings)
    for _ in tuning.run():
        pass
    own = tuning.own.eval().requires_grad_(False)
    return lambda prompt: (
        prompt,
        ContentStyleRun(tuning.adapter, own, model.text_encoder, asked(prompt)),
    )


def words(one: Picture) -> Drawer:
    """Nothing: both words as they are."""
    named = {CONTENT: one.content, STYLE: f"{one.style} style"}
    return lambda prompt: (filled(prompt, named), Prepared())


def tuned(model: LoadedModel, one: Picture) -> Drawer:
    """DreamBooth-C and DreamBooth-S of the paper by ARBooth: the picture as a thing, and the
    picture as a style, two trainings. Where both are asked for, the thing is."""
    usual, pixels = SubjectSettings(), as_batch([one.pixels], model.card.resolution)
    as_thing = subject(model, pixels, one.content, usual)
    framed = replace(usual, frame=f"a {one.content} in {{}}")
    as_style = subject(model, pixels, f"{one.style} style", framed)

    def drawer(prompt: str) -> tuple[str, Prepared]:
        if CONTENT in prompt:
            named = {CONTENT: IT, STYLE: f"{one.style} style"}
            return filled(prompt, named), as_thing
        return filled(prompt, {STYLE: IT}), as_style

    return drawer


def subject(
    model: LoadedModel, pixels: torch.Tensor, word: str, settings: SubjectSettings
) -> Prepared:
    tuning = SubjectTuning(model, pixels, word, settings)
    for _ in tuning.run():
        pass
    tuning.own.eval().requires_grad_(False)
    return tuning.prepared


def filled(prompt: str, named: dict[str, str]) -> str:
    """A prompt with words for its places."""
    for place, word in named.items():
        prompt = prompt.replace(place, word)
    return prompt


# --- the page -------------------------------------------------------------------------------------

Rows = dict[str, list[dict[str, Any]]]  # cells by case

RIGHT = {"content": (1, 3), "style": (2, 3), "both": (3,)}  # cells of the 2 x 2 that count
COLUMNS: dict[str, tuple[str, tuple[int, ...] | None]] = {
    "content right ↑": ("style-content-kept", RIGHT["content"]),
    "and named style ↑": ("style-content-both", RIGHT["both"]),
    "style right ↑": ("style-style-kept", RIGHT["style"]),
    "and named thing ↑": ("style-style-both", RIGHT["both"]),
    "together ↑": ("style-together", RIGHT["both"]),
    "content, distance ↓": ("style-content-distance", None),
    "style, distance ↓": ("style-style-distance", None),
    "CLIP-I ↑": ("style-clip-i", None),
    "CLIP-T ↑": ("style-clip-t", None),
}
UNSEEN = {
    "pair": "pairs of known things and styles",
    "style": "a style",
    "concept": "things",
}
SHOWN = (0, 2, 4, 6, 8, 9, 10, 11, 16)  # of the images of a picture, on the sheet
# Paper, table 2: CSD-C, CSD-S and CLIP-T on Switti.
PAPER = {
    "full": (0.603, 0.564, 0.330),
    "without memory": (0.581, 0.559, 0.315),
    "without rectification": (0.601, 0.503, 0.289),
    "without scales": (0.501, 0.547, 0.270),
    "none of the three": (0.482, 0.431, 0.302),
}
# What stands for each of the three here; less of a distance is more of a score.
OURS = {
    "content": (("content right ↑", 1), ("content, distance ↓", -1), ("CLIP-I ↑", 1)),
    "style": (("style right ↑", 1), ("style, distance ↓", -1)),
    "text": (("CLIP-T ↑", 1),),
}


def of_pictures(rows: Sequence[dict[str, Any]], column: str) -> dict[str, float]:
    """Mean of a column over the images of every picture."""
    metric, right = COLUMNS[column]
    values = {row["picture"]: np.array(row["values"][metric]) for row in rows}
    return {
        name: float((np.isin(found, right) if right else found).mean())
        for name, found in values.items()
    }


def lost(by_case: Rows, case: str, column: str) -> np.ndarray:
    """What a case has more than the full method, picture by picture, ``(pictures,)``."""
    ours, full = (of_pictures(by_case[name], column) for name in (case, "full"))
    return np.array([ours[name] - full[name] for name in full if name in ours])


def interval(numbers: np.ndarray) -> tuple[float, float, float]:
    """Mean over pictures with its bootstrap interval."""
    low, high = np.percentile(resampled_means(numbers), LEVELS)
    return float(numbers.mean()), float(low), float(high)


def shown(numbers: np.ndarray, sign: str = "") -> str:
    mean, low, high = interval(numbers)
    digits = 2 if abs(mean) < 10 and abs(high) < 10 else 1
    return f"{mean:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def report(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    by_case = {case: [row for row in rows if row["case"] == case] for case in options.cases}
    parts = [all_of(by_case)]
    if "full" in by_case:
        parts += [differences(by_case), order(by_case)]
    parts += [four(by_case), by_unseen(by_case)]
    if "full" in by_case:
        parts.append(sheet(options, by_case["full"]))
    means = {
        case: {c: interval(np.array([*of_pictures(found, c).values()])) for c in COLUMNS}
        | {"seconds": seconds(found)}
        for case, found in by_case.items()
    }
    data = {"means": means, "cells": rows}
    write("styles", "Content and style apart", data, "\n\n".join(parts))


def seconds(rows: Sequence[dict[str, Any]]) -> float:
    return float(np.mean([row["seconds"] for row in rows]))


def all_of(by_case: Rows) -> str:
    lines = [
        [
            case,
            *(shown(np.array([*of_pictures(found, c).values()])) for c in COLUMNS),
            f"{seconds(found):.0f}",
        ]
        for case, found in by_case.items()
    ]
    count = len(next(iter(by_case.values())))
    return (
        f"Means over {count} pictures of 20 images each, the same seeds in all cases, with 95 % "
        "bootstrap intervals over pictures. *Right* is what the embedded judge's read-out names; "
        "distances are from the drawing that is wanted; CLIP-I and CLIP-T are the embedded CLIP's. "
        "Seconds are CPU seconds of a training on one thread.\n\n"
        + table(["case", *COLUMNS, "seconds"], lines)
    )


def differences(by_case: Rows) -> str:
    """What each part is worth, picture by picture."""
    lines = [
        [case, *(shown(lost(by_case, case, column), "+") for column in COLUMNS)]
        for case in by_case
        if case != "full"
    ]
    return "## Against the full method\n\nDifferences paired by picture:\n\n" + table(
        ["case", *COLUMNS], lines
    )


def order(by_case: Rows) -> str:
    """Does leaving a part out cost what the paper says?"""
    lines = []
    for case, published in PAPER.items():
        if case == "full" or case not in by_case:
            continue
        for at, (what, columns) in enumerate(OURS.items()):
            claim = published[at] - PAPER["full"][at]
            for column, sign in columns:
                numbers = lost(by_case, case, column)
                low, high = interval(sign * numbers)[1:]
                verdict = "holds" if high < 0 else "reversed" if low > 0 else "not seen"
                lines.append([case, what, f"{claim:+.3f}", column, shown(numbers, "+"), verdict])
    head = ["left out", "of", "the paper's difference", "here", "difference", "verdict"]
    return (
        "## Does the paper's order hold?\n\nIn the paper (table 2, on Switti) the full method is "
        "best in everything: every part that is left out costs. *Holds* where the interval of the "
        "difference is on that side of zero, *reversed* where it is on the other.\n\n"
        + table(head, lines)
    )


def four(by_case: Rows) -> str:
    """The 2 x 2 of right and wrong."""
    groups = {
        "content in a named style": "style-content-kept",
        "a named thing in the style": "style-style-kept",
    }
    head = ["asked for", "case", "both right", "content only", "style only", "neither"]
    lines = []
    for group, metric in groups.items():
        for case, found in by_case.items():
            seen = np.concatenate([row["values"][metric] for row in found])
            lines.append([group, case, *(f"{(seen == cell).mean():.2f}" for cell in (3, 1, 2, 0))])
    return "## Right and wrong\n\n" + table(head, lines)


def by_unseen(by_case: Rows) -> str:
    columns = ("content right ↑", "style right ↑", "content, distance ↓", "style, distance ↓")
    lines = []
    for unseen, title in UNSEEN.items():
        for case, found in by_case.items():
            own = [row for row in found if row["unseen"] == unseen]
            if own:
                numbers = [np.array([*of_pictures(own, column).values()]) for column in columns]
                lines.append([title, len(own), case, *map(shown, numbers)])
    head = ["never trained", "pictures", "case", *columns]
    return "## By what the model never saw\n\n" + table(head, lines)


def sheet(options: argparse.Namespace, rows: list[dict[str, Any]]) -> str:
    """Every picture with the first image of every prompt: none is selected."""
    kept, lines = Cells(options.cells), []
    for row in rows:
        path = kept.path(cell_name(options, "full", row["picture"])).with_suffix(".png")
        strip = Image.open(path)
        side = strip.height
        tiles = [strip.crop((side * i, 0, side * (i + 1), side)).resize((64, 64)) for i in SHOWN]
        tiles = [picture(row["picture"]).pixels, *map(np.asarray, tiles)]
        lines.append(np.concatenate(tiles, 1))
    FOLDER.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(lines)).save(FOLDER / "styles.png", optimize=True)
    return (
        "## What it draws\n\n![Examples](styles.png)\n\nA picture in every row, and what the full "
        "method drew first for a prompt, none selected: its content in four named styles; a red "
        "apple, a fish, a house and a key in its style; both together."
    )


if __name__ == "__main__":
    main()
