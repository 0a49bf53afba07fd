"""``python -m var_spaces calibrate MODEL``: measures what ScaleKV, HACK and HeatKV need to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from var_spaces import api
from var_spaces.cli.arguments import Parser
from var_spaces.paths import expanded, made_folder
from var_spaces.tasks.plan import plan
from var_spaces.zoo.cards import Card, get_card

SAMPLES = 10
PROMPTS = (
    "a red apple on a white table",
    "a key",
    "two people walking a dog in a park",
    "a city street at night in the rain",
    "a portrait of an old sailor",
    "a blue teapot beside a yellow cup",
    "mountains and a lake at sunrise",
    "a drawing of a castle",
    "a cat sleeping on a sofa",
    "a bowl of fruit, oil painting",
)


def run(arguments: Sequence[str]) -> None:
    parser = Parser("calibrate", "Measure the attention of a model for calibrated cache policies.")
    parser.add_argument("model", metavar="MODEL", help="id of a generator")
    parser.add_argument("--samples", type=int, help=f"images to draw (default {SAMPLES})")
    parser.add_argument("--seed", type=int, help="seed of the images (default 0)")
    parser.add_argument("--out", help="folder of the file (default: where calibrations are found)")
    parser.add_argument("--device", help="where to run")
    options = parser.read(arguments)
    card = get_card(options["model"], "generator")
    samples = options.get("samples", SAMPLES)
    if samples < 1:
        parser.error(f"--samples {samples} must be at least 1")

    from var_spaces.cache.calibration import folders

    folder = made_folder(expanded(options["out"]) if "out" in options else folders()[0])
    print(measure(card, samples, options.get("seed", 0), options.get("device")).write(folder))


def measure(card: Card, samples: int, seed: int, device: str | None = None):
    """The :class:`~var_spaces.cache.calibration.Calibration` of a model at its own schedule.

    Args:
        card: of the generator; its default sampling and guidance are used.
        samples: images, one run each: classes in turn, or prompts.
        seed: of the images.
        device: where to run; None as for ``var_spaces.load``.
    """
    from var_spaces.cache.measure import Measuring
    from var_spaces.tasks.run import run as run_plan
    from var_spaces.zoo.residency import ZOO

    measuring = None
    for sample in range(samples):
        planned = plan(api.make_spec(card.id, seed=seed + sample, **_asked(card, sample))[0])
        schedule = planned.schedule
        if measuring is None:
            measuring = Measuring(named_rows=len(planned.guidance.rows(schedule)))
        for _ in run_plan(replace(planned, cache=measuring), ZOO, pictures={}, device=device):
            pass
    source = f"python -m var_spaces calibrate {card.id} --samples {samples} --seed {seed}"
    return measuring.calibration(card.id, schedule, source)


def _asked(card: Card, sample: int) -> dict[str, str]:
    """What one sample shows: classes as far apart in the list as possible."""
    if not card.classes:
        return {"prompt": PROMPTS[sample % len(PROMPTS)]}
    return {"class_": card.classes[sample * 7919 % len(card.classes)]}
