"""Whether two checkouts draw the same pictures: a table of hashes of runs, and its comparison.

python benchmarks/same_pixels.py --out new.json
python benchmarks/same_pixels.py --repo OTHER_CHECKOUT --out old.json
python benchmarks/same_pixels.py --compare old.json new.json

Every embedded model, cache policy (at 30 %), strategy, task, guidance rule and sampler draws a
picture; its tokens, its pixels, the id of its run and its link are noted. Machines, versions of
torch and numbers of threads round differently, so both tables have to come from one machine and
from as many threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROMPT = "a photo of a red apple left of a blue key"
BUDGET = 0.3
CLASS_MODEL, BIT_MODEL = "var-small", "t2i-bit"


def pictures() -> dict[str, Any]:
    """A source picture and the mask of its middle."""
    import numpy as np

    rows, columns = np.mgrid[:96, :80]
    source = np.stack([rows * 2, columns * 3, (rows + columns) % 256], -1).astype(np.uint8)
    mask = np.zeros((96, 80), np.uint8)
    mask[30:70, 20:60] = 255
    return {"image": source, "mask": mask}


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and settings of every run."""
    from var_spaces import methods
    from var_spaces.zoo.cards import cards

    for card in cards("generator").values():
        yield f"model {card.id}", {"model": card.id}
        yield f"two images of {card.id}", {"model": card.id, "count": 2, "seed": 7}
    for model in (CLASS_MODEL, BIT_MODEL):
        for policy in methods.names("cache"):
            if policy != "none":
                yield f"cache {policy} on {model}", {"model": model, "cache": _policy(policy)}
    yield "cache none on hmar", {"model": "hmar", "cache": {"name": "none"}}
    hack = {"name": "hack", "budget": BUDGET, "mode": "hack++"}
    yield "hack++", {"model": CLASS_MODEL, "cache": hack}
    scored = {"name": "scalekv", "budget": BUDGET, "scoring": "reference"}
    yield "scalekv as released", {"model": BIT_MODEL, "cache": scored}
    inner = {"name": "quantised", "bits": 4, "policy": "h2o", "policy_budget": BUDGET}
    yield "h2o in 4 bits", {"model": CLASS_MODEL, "cache": inner}
    yield from _strategies()
    yield from _tasks()
    yield from _rules()


def _policy(name: str) -> dict[str, Any]:
    from var_spaces import methods

    budgeted = "budget" in methods.get("cache", name).model_fields
    return {"name": name, **({"budget": BUDGET} if budgeted else {})}


def _strategies() -> Iterator[tuple[str, dict[str, Any]]]:
    few = {"name": "h2o", "budget": BUDGET}
    searches = [
        {"name": "best-of-n", "candidates": 3},
        {"name": "importance-sampling", "candidates": 3},
        {"name": "tts-var", "sizes": [4, 3, 2, 2, 1]},
        {"name": "tts-var", "sizes": [4, 3, 2, 2, 1], "reward": "judge", "potential": "max"},
    ]
    for model in (CLASS_MODEL, BIT_MODEL):
        for search in searches:
            if model == CLASS_MODEL or "reward" not in search:
                name = f"{search['name']} {search.get('reward', '')}".strip()
                yield f"{name} on {model}", {"model": model, "decoding": search}
                yield f"{name} on {model}, h2o", {"model": model, "decoding": search, "cache": few}
    pair = {"name": "collaborative", "refiner": "var-small", "refiner_guidance": [2.0]}
    yield "collaborative", {"model": "var-base", "decoding": pair}
    yield "collaborative, h2o", {"model": "var-base", "decoding": pair, "cache": few}
    shallow = {"name": "supernet", "depth": 3, "bridge": 3}
    yield "supernet", {"model": "var-supernet", "decoding": shallow}
    yield "supernet on text", {"model": BIT_MODEL, "decoding": shallow}
    yield "masked", {"model": "hmar", "decoding": {"name": "masked", "guidance": 0.5}}
    yield "plain hmar", {"model": "hmar", "decoding": {"name": "plain"}}


def _tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    given = pictures()
    rectangle = [0.2, 0.1, 0.7, 0.6]
    edit = {"task": "edit", "image": given["image"], "class_": "red apple"}
    for model in (CLASS_MODEL, "hmar", "flexvar"):
        yield f"in-painting by {model}", {"model": model, **edit, "mask": given["mask"]}
    others = {"model": CLASS_MODEL, **edit, "rectangle": rectangle}
    yield "out-painting", {**others, "mode": "out-painting", "composite": True}
    yield "expansion", {**others, "mode": "expansion"}
    yield "refine", {"model": CLASS_MODEL, "task": "refine", "image": given["image"], "keep": 2}
    yield "wide", {"model": "flexvar", "width": 96, "height": 48, "steps": 8}
    words = {"model": BIT_MODEL, "prompt": "two green cups", "negative_prompt": "a key"}
    yield "wide text with a negative prompt", {**words, "aspect": "2:1"}


def _rules() -> Iterator[tuple[str, dict[str, Any]]]:
    rules = {
        CLASS_MODEL: [{"name": "linear", "scale": 0}, {"name": "per-scale", "scale": 2.5}],
        BIT_MODEL: [
            {"name": "per-scale", "scale": 1},
            {"name": "per-scale", "scale": [1, 2, 3, 4, 3, 2]},
            {"name": "layers", "scale": 2, "layers": [0, -2]},
        ],
        "flexvar": [{"name": "flexvar", "scale": 4}],
    }
    for model, several in rules.items():
        for number, rule in enumerate(several):
            yield f"guidance {rule['name']} {number} on {model}", {"model": model, "guidance": rule}
    samplers = {
        CLASS_MODEL: [
            {"name": "top-k-top-p", "top_k": 50, "smooth": True},
            {"name": "scale-top-k-top-p", "top_k": 60, "temperature": 1.1},
        ],
        BIT_MODEL: [{"name": "bits", "top_k": 1}],
        "flexvar": [{"name": "flexvar"}],
    }
    for model, several in samplers.items():
        for number, rule in enumerate(several):
            yield f"sampling {rule['name']} {number} on {model}", {"model": model, "sampling": rule}


def settings_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What a case leaves open: what to draw, and the seed."""
    from var_spaces import methods
    from var_spaces.zoo.cards import get_card

    card = get_card(settings["model"])
    asked: dict[str, Any] = {"prompt": PROMPT} if card.text_encoder else {"class_": "red apple"}
    takes = methods.get("task", settings.get("task", card.default_task)).model_fields
    if "instruction" in takes:
        asked = {"instruction": PROMPT}
    if "source" in takes and "task" not in settings:
        asked["source"] = pictures()["image"]
    if "prompt" in settings or settings.get("task") == "refine":
        asked = {}
    return {"seed": 3, **asked, **settings}


def row(settings: dict[str, Any]) -> dict[str, Any]:
    """Hashes of one run."""
    import var_spaces

    *_, last = var_spaces.stream(previews=False, **settings_of(settings))
    record, spec = last.record, last.record.spec
    kept = json.dumps([[scale.tokens, scale.kv_bytes] for scale in record.scales])
    return {
        "tokens": list(record.token_sha256),
        "pixels": list(record.image_sha256),
        "id": record.id,
        "link": hashlib.sha256(spec.to_link().encode()).hexdigest(),
        "kv_bytes": hashlib.sha256(kept.encode()).hexdigest(),
    }


def table(only: str) -> dict[str, Any]:
    """Rows of all cases whose name contains ``only``."""
    rows = {}
    for name, settings in cases():
        if only in name:
            started = time.perf_counter()
            rows[name] = row(settings)
            print(f"{time.perf_counter() - started:6.2f} s  {name}", flush=True)
    return rows


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What the second table has otherwise than the first, a line each."""
    lines = [f"gone: {name}" for name in old if name not in new]
    for name in old.keys() & new.keys():
        lines += [
            f"{what} of {name}: {old[name][what]} -> {new[name].get(what)}"
            for what in old[name]
            if old[name][what] != new[name].get(what)
        ]
    return sorted(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", type=Path, default=Path(__file__).parents[1], help="checkout")
    parser.add_argument("--out", type=Path, help="JSON file for the table")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"))
    args = parser.parse_args()
    if args.compare:
        old, new = (json.loads(path.read_text("utf-8")) for path in args.compare)
        found = differences(old, new)
        print("\n".join(found) or "Nothing moved.", f"({len(old)} runs, {len(new)} now)")
        return 1 if found else 0
    os.environ["VAR_SPACES_MODELS"] = ""
    sys.path.insert(0, str(args.repo.resolve()))
    rows = table(args.only)
    print(f"{len(rows)} runs")
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
