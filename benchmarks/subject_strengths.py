"""Strength of the words against that of the picture: does more of one cost the other?

EchoGen (https://arxiv.org/abs/2509.26127) has a strength for each; their sum stays the same here,
so that only the share of the picture moves. Things, prompts, seeds and scores are those of the
suite ``embedded-subject``. Finished cells are kept in ``--cells`` and not run again.

    python benchmarks/subject_strengths.py --subjects 2
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from cells import Cells, parsed
from drawn import draw, measured
from report import fingerprint, table, write
from subjects import HEAD, claimed, echo

from leaderboard.subjects import subject
from leaderboard.suites.base import get_suite
from var_spaces import methods
from var_spaces.cpu import without_denormals
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.residency import Residency

SUM = 5.0  # of both strengths, as the model's defaults have it
PICTURE = (0.0, 1.0, 2.5, 4.0, 5.0)
# Scores, and which way more of the picture should move them.
SHOWN = {"subject-clip-i": 1, "subject-distance": -1, "subject-clip-t": -1, "subject-prompt": -1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--echo", default="echo-bit", help="trained subject adapter")
    parser.add_argument("--subjects", type=int, default=2, help="1 to 16")
    options = parsed(parser, "subject-strengths")
    with without_denormals():
        report(options, cells(options))


def cells(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Scores of every thing at every strength, from files or measured now."""
    suite = get_suite("embedded-subject")
    metrics = [metric for metric in suite.metrics() if metric.name in SHOWN]
    items = [item for item in suite.items() if item.facts["group"] == "prompts"]
    things = list(dict.fromkeys(item.facts["subject"] for item in items))[: options.subjects]
    kept, zoo = Cells(options.cells, options.minutes), Residency()
    key = fingerprint(get_card(options.echo).weights_sha256, f"{SUM}")
    asked = {
        f"{thing.split('/')[1]}-{strength}-{key}": (thing, strength)
        for thing in things
        for strength in PICTURE
    }

    def measure(name: str) -> dict[str, Any]:
        thing, strength = asked[name]
        own = [item for item in items if item.facts["subject"] == thing]
        given = {"name": "conditions", "scale": SUM - strength, "condition": strength}
        with zoo.lease([options.echo], "cpu", text=True) as (one,):
            seen = echo(one, subject(thing), (True, True))
            prompts = [item.facts["caption"] for item in own]
            images = draw(one, own, prompts, seen, methods.parse("guidance", given))
        found = measured(metrics, own, np.stack(images))
        scores = {name: float(values.mean()) for name, values in found.items()}
        return {"subject": thing, "picture": strength, **scores}

    return list(kept.of(list(asked), measure))


def report(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    means = {
        strength: {
            name: float(np.mean([row[name] for row in rows if row["picture"] == strength]))
            for name in SHOWN
        }
        for strength in PICTURE
    }
    lines = [[f"{SUM - at:g}", f"{at:g}", *means[at].values()] for at in PICTURE]
    text = table(["words", "picture", *(HEAD[name] for name in SHOWN)], lines)
    text += (
        f"\n\n{options.echo}, {options.subjects} things that no model was trained on, 20 prompts "
        "each, the same seeds in all. Similarities are those of the embedded CLIP and the embedded "
        "judge, and comparable with no published number.\n\n" + order(rows)
    )
    write("subject_strengths", "Words against picture", {"means": means, "cells": rows}, text)


def order(rows: list[dict[str, Any]]) -> str:
    """Does likeness rise, and what the words say fall, with the share of the picture? As the slope
    of a line through all strengths."""
    lines = []
    for name, sign in SHOWN.items():
        by_thing: dict[str, list[float]] = {}
        for row in sorted(rows, key=lambda row: row["picture"]):
            by_thing.setdefault(row["subject"], []).append(row[name])
        slopes = [float(np.polyfit(PICTURE, found, 1)[0]) for found in by_thing.values()]
        lines.append(claimed(name, sign, slopes))
    head = ["score", "expected of more picture", "here, per unit", "things that agree"]
    return (
        "## Do the two move against each other?\n\nSlopes of lines through all strengths:\n\n"
        + table(head, lines)
    )


if __name__ == "__main__":
    main()
