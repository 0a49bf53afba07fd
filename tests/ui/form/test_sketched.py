"""What was drawn in an editor becomes one picture, whatever its size."""

from __future__ import annotations

import numpy as np
import pytest

from var_spaces.ui.form.pictures import ROWS, sketched


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize("height", [1, ROWS, 2 * ROWS + 7])
def test_layers_lie_over_each_other(height, drawn):
    random = np.random.default_rng(0)
    ground = random.integers(0, 256, (height, 9, 4), np.uint8)
    ground[..., 3] = 255
    layers = [random.integers(0, 256, (height, 9, 4), np.uint8) for _ in range(2)]
    layers[0][: height // 2, :, 3] = 0  # nothing was painted there
    wanted = ground[..., :3].astype(float)
    for layer in layers:
        share = layer[..., 3:] / 255
        colour = 255 if drawn else layer[..., :3]
        wanted = np.round(share * colour + (1 - share) * wanted)
    found = sketched({"background": ground, "layers": layers}, drawn)
    assert found.dtype == np.uint8
    assert (found == wanted).all()
