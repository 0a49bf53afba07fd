"""Maps of scenes: extracted from the rendered pictures, silhouettes exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from var_spaces import methods
from var_spaces.conditioning.controls import agreement
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.controls import control_maps
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import coverage, render
from var_spaces.training.data.sampler import SceneSampler

COUNT = 12


@pytest.fixture(scope="module")
def drawn():
    atlas = Atlas.load()
    scenes = SceneSampler(atlas, recipe("composed")).batch(5, 0, COUNT)
    return atlas, scenes, render(atlas, scenes)


def test_coverage_is_where_a_scene_differs_from_its_background(drawn):
    atlas, scenes, images = drawn
    covered = coverage(atlas, scenes)
    assert covered.shape == (COUNT, 64, 64)
    assert 0 <= covered.min() <= covered.max() <= 1
    top, bottom = scenes.colours[:, 0], scenes.colours[:, 1]
    height = (torch.arange(64) + 0.5) / 64
    bare = top[:, :, None] + (bottom - top)[:, :, None] * height
    differs = ((images + 1) * 127.5 - bare[..., None]).abs().amax(1) > 1
    assert not differs[covered == 0].any()
    assert differs[covered > 0.9].float().mean() > 0.8  # some parts have the background's colour


@pytest.mark.parametrize("name", ["canny", "soft-edges", "palette", "grey"])
def test_maps_are_those_of_the_pictures(drawn, name):
    kind = methods.parse("control", name)
    maps = control_maps(*drawn, [kind] * COUNT)
    assert maps.shape == (COUNT, 3, 64, 64)
    pixels = drawn[2].add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy()
    expected = np.stack([kind.as_picture(kind.extract(picture)) for picture in pixels])
    assert torch.equal(maps, torch.from_numpy(expected).permute(0, 3, 1, 2).float() / 127.5 - 1)


def test_every_scene_has_its_kind_and_silhouettes_are_exact(drawn):
    mask, palette = (methods.parse("control", name) for name in ("mask", "palette"))
    mixed = control_maps(*drawn, [mask, palette] * (COUNT // 2))
    assert torch.equal(mixed[1::2], control_maps(*drawn, [palette] * COUNT)[1::2])
    inside = (mixed[::2, 0] < 0).numpy()  # dark on white
    covers = (coverage(*drawn[:2])[::2] >= 0.5).numpy()
    pairs = list(zip(inside, covers, strict=True))
    assert all(exact[cover].all() for exact, cover in pairs)
    found = [agreement.iou(*(mask.astype(np.uint8) * 255 for mask in pair)) for pair in pairs]
    assert np.mean(found) > 0.95  # holes are filled
