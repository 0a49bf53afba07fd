"""Made-up calibrations of the tiny models of the tests: every layer and head is different."""

from __future__ import annotations

import random
from pathlib import Path

from var_spaces.cache.calibration import Calibration

# (name, layers, heads, patch numbers): tests/tiny.py, tests/conftest.py, tests/ui/models.py,
# tests/infinity.py and tests/cache/policies.py
MODELS = (
    ("tiny", 3, 3, (1, 2, 3, 4, 5, 6, 8)),
    ("tiny-var", 2, 2, (1, 2, 4)),
    ("tiny-styled", 2, 2, (1, 2, 3, 4)),
    ("driven", 3, 4, (1, 2, 4, 6, 8)),
    ("driven-deep", 6, 4, (1, 2, 4, 6, 8)),
)


def calibration(name: str, layers: int, heads: int, patches: tuple[int, ...]) -> Calibration:
    draw = random.Random(name)
    scales = range(len(patches))

    def masses(scale: int) -> list[float]:
        weights = [draw.random() for _ in range(scale + 1)]
        return [weight / sum(weights) for weight in weights]

    return Calibration(
        model=name,
        source="made up",
        layers=layers,
        heads=heads,
        sizes=tuple((side, side) for side in patches),
        samples=1,
        current=[[draw.random() for _ in range(layers)] for _ in scales],
        history_top=[[draw.random() for _ in range(layers)] for _ in scales],
        column_variance=[[draw.random() for _ in range(heads)] for _ in range(layers)],
        mass=[[[masses(k) for k in scales] for _ in range(heads)] for _ in range(layers)],
    )


def write(folder: Path) -> Path:
    for model in MODELS:
        calibration(*model).write(folder)
    return folder
