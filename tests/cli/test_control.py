"""``python -m var_spaces control``."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from var_spaces import methods
from var_spaces.cli import main


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png", pixels


@pytest.mark.parametrize(
    ("flags", "control"),
    [
        ([], {"name": "canny"}),
        (
            ["--kind", "canny", "--low", "10", "--high", "20"],
            {"name": "canny", "low": 10, "high": 20},
        ),
        (["--kind", "palette", "--cells", "3"], {"name": "palette", "cells": 3}),
    ],
)
def test_a_map_as_the_library_makes_it(tmp_path, picture, flags, control):
    path, pixels = picture
    out = tmp_path / "map.png"
    assert main(["control", "--picture", str(path), "--out", str(out), *flags]) == 0
    expected = methods.parse("control", control).extract(pixels)
    assert np.array_equal(np.asarray(Image.open(out)), expected)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--kind", "cany"], "Did you mean 'canny'?"),
        (["--low", "300"], "low = 300 must be at most high = 200"),
        (["--cells", "3"], "unknown argument '--cells'"),
        (["--picture", "none.png"], "cannot be read"),
    ],
)
def test_refusals(tmp_path, picture, capsys, flags, said):
    out = tmp_path / "map.png"
    assert main(["control", "--picture", str(picture[0]), "--out", str(out), *flags]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
