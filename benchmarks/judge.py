"""How often is the scene parser right? Asked of scenes that it has never seen.

The frozen prompts hold 100 scenes of a category, too few to tell 0.94 from 0.97. Here are many more
of each category, drawn in the same way with other seeds, as they are and as the tokenizers give
them back.

    python benchmarks/judge.py
"""

from __future__ import annotations

import argparse

from compose import real_scenes, reconstructions
from report import table, write
from scipy.stats import binomtest

import var_spaces
from var_spaces.evaluators.compose import OVERALL, by_category, score
from var_spaces.evaluators.parser import embedded_parser
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.frozen_prompts import make_prompts

SEED = 9_100_000  # and following ones; neither a training seed nor one of the frozen prompts


def interval(rate: float, count: int) -> str:
    """Wilson's 95 % interval of a share of ``count`` pictures."""
    found = binomtest(round(rate * count), count).proportion_ci(method="wilson")
    return f"{found.low:.3f} to {found.high:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-category", type=int, default=600, help="scenes of each")
    parser.add_argument("--tokenizers", nargs="+", default=["bit-tokenizer", "bit-fine"])
    args = parser.parse_args()

    judge = embedded_parser()
    prompts = make_prompts(Atlas.load(), SEED, args.per_category, 3 * args.per_category)
    real = real_scenes(prompts)
    pictures = {"real scenes": real}
    pictures |= {name: reconstructions(var_spaces.load(name), real) for name in args.tokenizers}
    reports = {name: score(prompts, judge(found)) for name, found in pictures.items()}
    rows = [
        [
            name,
            len(group),
            *(
                f"{report[name]['accuracy']:.3f} ({interval(report[name]['accuracy'], len(group))})"
                for report in reports.values()
            ),
        ]
        for name, group in by_category(prompts).items()
    ]
    means = [f"{report[OVERALL]['accuracy']:.3f}" for report in reports.values()]
    rows.append([OVERALL, len(prompts), *means])
    text = "Share of scenes of which every claim of the caption is found true, with Wilson's 95 % "
    text += "interval:\n\n" + table(["category", "scenes", *reports], rows)
    data = {"parser": reports, "judged": judge.card["metrics"]}
    print(write("judge", "How often is the scene parser right?", data, text))


if __name__ == "__main__":
    main()
