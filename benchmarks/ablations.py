"""One part of a method changed at a time, trained alike and measured alike.

Every variant is its bundled recipe with other settings (``--set`` of the training command), trained
for the same number of steps, and scored by the method's suite. Models that are in ``--models``
already are not trained again, and what is measured of them is kept like that of any job.

    python benchmarks/ablations.py control --steps 300
    python benchmarks/ablations.py reference --steps 300
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from report import table, write

from leaderboard.entry import Entry
from leaderboard.result import Result
from leaderboard.runner.job import WORK, Job
from leaderboard.runner.run import run
from leaderboard.suites.base import get_suite
from var_spaces.cpu import without_denormals
from var_spaces.training.engine.plan import Options
from var_spaces.training.engine.runs import make_plan, train

SHIPPED = Path("assets/models")


@dataclass(frozen=True)
class Variant:
    """A row: ``settings`` of the recipe, or other ``parts`` of the entry with the usual model."""

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """Variants of one recipe.

    Args:
        variants: by the end of the model's name; the usual one is the first.
        columns: score and its detail ("" for the score itself), by heading.
        ceiling: end of the names of details that say what the tokenizer alone reaches.
    """

    title: str
    config: str
    suite: str
    variants: Mapping[str, Variant]
    columns: Mapping[str, tuple[str, str]]
    ceiling: str = ""


CONTROL = Study(
    "Control: what the parts of ScaleWeaver are worth here",
    config="control-bit",
    suite="embedded-control",
    variants={
        "full": Variant("reference attention (as shipped)"),
        "none": Variant(
            "no control", parts={"guidance": {"name": "conditions", "condition": 0, "scale": 3}}
        ),
        "joint": Variant("joint attention", {"way": "joint"}),
        "additive": Variant("added features", {"way": "additive"}),
        "same": Variant("sees its own scale", {"sees": "same"}),
        "all": Variant("sees all scales", {"sees": "all"}),
        "rank4": Variant("rank 4", {"rank": 4}),
        "rank64": Variant("rank 64", {"rank": 64}),
        "last": Variant("last half of the blocks", {"place": "last"}),
        "nozero": Variant("no zero start", {"zero_start": False}),
        "scalar": Variant("one number as gate", {"gate": "scalar"}),
    },
    columns={
        "canny F1 ↑": ("control-f1", "canny"),
        "scribble F1 ↑": ("control-f1", "scribble"),
        "soft edges MSE ↓": ("control-mse", "soft-edges"),
        "blur MSE ↓": ("control-mse", "blur"),
        "grey MSE ↓": ("control-mse", "grey"),
        "palette MSE ↓": ("control-mse", "palette"),
        "silhouette IoU ↑": ("control-iou", "mask"),
        "prompt ↑": ("composition", ""),
        "Frechet ↓": ("frechet", ""),
    },
    ceiling=" ceiling",
)
REFERENCE = Study(
    "Editing: how the first block sees the source",
    config="edit-bit",
    suite="embedded-instruct",
    variants={
        "aligned": Variant("scale-aligned reference (as shipped)"),
        "finest-only": Variant("finest scale only", {"reference": "finest-only"}),
        "none": Variant("no source at all", {"reference": "none"}),
    },
    columns={
        "done ↑": ("edit-done", ""),
        "nearer ↑": ("edit-nearer", ""),
        "kept, dB ↑": ("edit-kept-psnr", ""),
        "kept, SSIM ↑": ("edit-kept-ssim", ""),
        **{
            operation: ("edit-done", operation)
            for operation in ("recolour", "replace", "background", "remove", "add", "move")
        },
    },
)
STUDIES = {"control": CONTROL, "reference": REFERENCE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--variants", nargs="*", help="some of the study's (all)")
    parser.add_argument("--steps", type=int, default=300, help="of every variant")
    parser.add_argument("--models", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--work", type=Path, default=WORK, help="where cells of jobs are kept")
    options = parser.parse_args()
    own = (str(options.models), os.environ.get("VAR_SPACES_MODELS"))
    os.environ["VAR_SPACES_MODELS"] = os.pathsep.join(filter(None, own))
    study = STUDIES[options.study]
    results = {}
    with without_denormals():
        for name, variant in study.variants.items():
            if options.variants and name not in options.variants:
                continue
            model = trained(study, options.study, name, variant, options)
            job = Job(get_suite(study.suite), Entry.of(model, **variant.parts), work=options.work)
            results[name], _ = run(job)
            print(variant.title, shown(study, results[name]), flush=True)
    report(study, options, results)


def trained(
    study: Study, prefix: str, name: str, variant: Variant, options: argparse.Namespace
) -> str:
    """Id of the model of a variant, trained now if it is not there."""
    own = f"{prefix}-{next(iter(study.variants)) if variant.parts else name}"
    if not (options.models / own).exists():
        options.models.mkdir(parents=True, exist_ok=True)
        for path in SHIPPED.iterdir():  # what the recipe stands on
            if not (options.models / path.name).exists():
                (options.models / path.name).symlink_to(path.resolve())
        asked = Options(
            steps=options.steps, models=options.models, name=own, settings=variant.settings
        )
        train(study.config, asked)
    return own


def shown(study: Study, result: Result, end: str = "") -> list[str]:
    """The numbers of a row; with ``end`` those of other details, where there are such."""
    found = []
    for score, detail in study.columns.values():
        (one,) = (s for s in result.scores if s.metric.split("@")[0] == score)
        value = one.details.get(detail + end) if detail else None if end else one.value
        figures = "" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
        found.append(figures)
    return found


def report(study: Study, options: argparse.Namespace, results: Mapping[str, Result]) -> None:
    rows = [[study.variants[name].title, *shown(study, result)] for name, result in results.items()]
    usual = next(iter(results.values()))
    if study.ceiling:
        rows.append(["ceiling: the tokenizer alone", *shown(study, usual, study.ceiling)])
    images = usual.scores[0].n
    text = table(["variant", *study.columns], rows)
    batch = make_plan(study.config, Options()).train.batch_size
    text += (
        f"\n\n{options.steps} steps of {batch} for every variant, "
        f"{images} images each (suite `{study.suite}`), the same seeds."
    )
    data = {
        name: {s.metric: {"value": s.value, **s.details} for s in result.scores}
        for name, result in results.items()
    }
    print(write(f"ablations_{options.study}", study.title, data, text))


if __name__ == "__main__":
    main()
