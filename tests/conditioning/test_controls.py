"""Every kind of control: what its maps are, and how a picture is held against them."""

from __future__ import annotations

import numpy as np
import pytest

from var_spaces import methods
from var_spaces.conditioning.controls import agreement
from var_spaces.conditioning.controls.depth import fitted_size
from var_spaces.errors import VarSpacesError

NAMES = [name for name in methods.names("control") if name != "depth"]  # which has a network


def control(name: str, **parameters: object):
    return methods.parse("control", {"name": name, **parameters})


def disc(size: int = 64, at: tuple[int, int] = (32, 32), radius: int = 16) -> np.ndarray:
    down, across = np.mgrid[:size, :size]
    return (down - at[0]) ** 2 + (across - at[1]) ** 2 <= radius**2


@pytest.fixture(scope="module")
def scenes() -> np.ndarray:
    """Scenes of the frozen prompts, ``(40, 64, 64, 3)`` uint8."""
    from var_spaces.evaluators.compose import read_prompts
    from var_spaces.training.data.atlas import Atlas
    from var_spaces.training.data.batch import pack
    from var_spaces.training.data.render import render
    from var_spaces.training.data.scene import Scene

    atlas = Atlas.load()
    records = [Scene.from_dict(prompt.scene) for prompt in read_prompts(4)]
    pixels = render(atlas, pack(atlas, records)).add(1).mul(127.5).round().byte()
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_follows_its_own_map_and_no_other(name, scenes):
    kind = control(name)
    maps = [kind.extract(scene) for scene in scenes]
    shape = (64, 64, 3) if kind.colour else (64, 64)
    assert {(found.shape, found.dtype.name) for found in maps} == {(shape, "uint8")}
    own = [kind.agreement(*pair) for pair in zip(maps, scenes, strict=True)]
    other = np.mean([kind.agreement(*pair) for pair in zip(maps[1:], scenes, strict=False)])
    best = 0 if kind.score == "mse" else 1
    assert own == [best] * len(scenes)
    assert (other > 500) if kind.score == "mse" else (other < 0.6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(64, 96), (1, 1), (3, 200), (129, 65)])
def test_any_shape(name, shape):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = control(name).extract(picture)
    assert found.shape[:2] == shape
    assert np.array_equal(found, control(name).extract(picture))


def test_maps_of_another_size_are_refused():
    kind, picture = control("grey"), np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(VarSpacesError, match="cannot be compared"):
        kind.agreement(np.zeros((4, 4), np.uint8), picture)


def test_ready_maps_are_read_as_the_kind_has_them():
    picture = np.dstack([np.full((4, 4), value, np.uint8) for value in (255, 0, 0)])
    assert control("grey").read(picture).tolist() == np.full((4, 4), 76).tolist()
    assert np.array_equal(control("blur").read(picture), picture)
    assert control("palette").read(picture[..., 0]).shape == (4, 4, 3)


def test_models_see_drawings_dark_on_white():
    lines = np.uint8([[255, 0]])
    assert control("canny").as_picture(lines).tolist() == [[[0] * 3, [255] * 3]]
    assert control("grey").as_picture(lines).tolist() == [[[255] * 3, [0] * 3]]
    colours = np.uint8([[[1, 2, 3]]])
    assert control("blur").as_picture(colours).tolist() == [[[1, 2, 3]]]


# --- the kinds ------------------------------------------------------------------------------------


def test_canny_sees_edges_between_colours_of_equal_brightness():
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:, :8], picture[:, 8:] = (150, 0, 0), (0, 76, 0)
    assert abs(int(control("grey").extract(picture)[0, 0]) - 45) <= 1
    edges = control("canny").extract(picture)
    assert set(np.unique(edges)) == {0, 255}
    assert set(np.flatnonzero(edges.any(0))) <= {7, 8}
    assert edges.any(1)[1:-1].all()
    assert not control("canny", low=800, high=900).extract(picture).any()


def test_canny_thresholds_are_in_order():
    with pytest.raises(VarSpacesError, match="low = 300 must be at most high = 200"):
        control("canny", low=300)


def test_scribbles_are_thick_and_leave_small_things_out():
    picture = np.full((128, 128, 3), 255, np.uint8)
    picture[disc(128, (64, 64), 40)] = 0
    picture[4:7, 4:7] = 0
    strokes = control("scribble").extract(picture)
    assert not strokes[:16, :16].any()
    ring = strokes[64] > 0
    assert 2 * 3 <= ring.sum() <= 2 * 8  # the row crosses the ring twice
    assert strokes[64, 64] == 0


@pytest.mark.parametrize("size", [64, 256])
def test_soft_edges_tell_how_strong_an_edge_is(size):
    picture = np.zeros((size, size, 3), np.uint8)
    picture[:, size // 2 :] = 255
    picture[size // 2 :, size // 2 :] = 128
    found = control("soft-edges").extract(picture)
    strong, weak = found[size // 4].max(), found[size * 3 // 4].max()
    assert 225 <= strong <= 255
    assert weak / strong == pytest.approx(128 / 255, abs=0.02)
    assert found[size // 4, 0] == 0


def test_blur_keeps_colours_and_loses_detail():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = control("blur").extract(picture)
    assert np.abs(found.mean((0, 1)) - picture.mean((0, 1))).max() < 3
    assert found.std() < picture.std() / 5


def test_palette_holds_the_mean_colour_of_every_cell():
    picture = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    found = control("palette", cells=4).extract(picture)
    cells = picture.reshape(4, 16, 8, 16, 3).mean((1, 3))
    expected = np.rint(cells).repeat(16, 0).repeat(16, 1)
    assert np.abs(found - expected).max() <= 1


def test_silhouettes_of_scenes(scenes):
    """Against a background that is known: the colour of the corner, as most scenes have one."""
    masks = np.stack([control("mask").extract(scene) for scene in scenes]) > 0
    assert 0.05 < masks.mean() < 0.5
    assert not masks[:, 0, 0].any()


@pytest.mark.parametrize("noise", [0, 40])
def test_silhouettes_before_plain_and_varied_backgrounds(noise):
    inside, random = disc(), np.random.default_rng(0)
    picture = np.empty((64, 64, 3))
    picture[:] = np.linspace(60, 120, 64)[:, None, None]  # a gradient from top to bottom
    picture[..., 2] += 60
    picture += random.normal(0, 1, picture.shape) * noise
    picture[inside] = (220, 60, 40)
    picture[30:34, 30:34] = picture[2, 2]  # a hole
    found = control("mask").extract(np.clip(picture, 0, 255).astype(np.uint8))
    assert agreement.iou(inside.astype(np.uint8) * 255, found) > 0.93


SHAPES = [(1, 1), (1, 2), (2, 1), (2, 2), (9, 1), (1, 9), (2, 700), (3, 3), (3, 5), (5, 40)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "kind",
    [*NAMES, {"name": "mask", "background": "varied"}, {"name": "mask", "background": "plain"},
     {"name": "palette", "cells": 64}, {"name": "scribble", "blur": 0, "shortest": 2}],
    ids=str,
)  # fmt: skip
def test_smallest_pictures(kind, shape):
    """Flat, checked and random ones of a few pixels have a map, and follow it."""
    kind = methods.parse("control", kind)
    checked = (np.indices(shape).sum(0) % 2 * 255)[..., None].repeat(3, 2)
    random = np.random.default_rng(0).integers(0, 256, (*shape, 3))
    for picture in (np.zeros((*shape, 3)), np.full((*shape, 3), 255), checked, random):
        picture = picture.astype(np.uint8)
        found = kind.extract(picture)
        assert found.shape[:2] == shape and found.dtype == np.uint8
        assert kind.agreement(found, picture) == (0 if kind.score == "mse" else 1)


def test_a_strip_has_no_huge_depth():
    assert fitted_size(480, 640) == (518, 686)  # as its published processor does
    assert fitted_size(100, 400) == (518, 2072)
    assert fitted_size(1, 8192) == (14, 2072)
    assert fitted_size(8192, 2) == (2072, 14)


def test_depth_from_a_network_in_a_folder(tmp_path):
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    layers = {"out_features": ["stage1", "stage2"], "reshape_hidden_states": False}
    config = DepthAnythingConfig(
        backbone_config=Dinov2Config(**sizes, **layers, patch_size=14, image_size=518),
        reassemble_hidden_size=16,
        reassemble_factors=[4, 2],
        neck_hidden_sizes=[8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    found = control("depth", checkpoint=str(tmp_path)).extract(picture)
    assert found.shape == (48, 64)
    assert (found.min(), found.max()) == (0, 255)


def test_depth_without_its_weights(tmp_path):
    with pytest.raises(VarSpacesError, match="Hand in a depth map, or choose another control"):
        control("depth", checkpoint=str(tmp_path / "none")).extract(np.zeros((8, 8, 3), np.uint8))


# --- agreement ------------------------------------------------------------------------------------


def lines(*columns: int) -> np.ndarray:
    found = np.zeros((8, 16), np.uint8)
    found[:, list(columns)] = 255
    return found


def test_f1_of_lines():
    assert agreement.f1(lines(4), lines(4)) == 1
    assert agreement.f1(lines(4), lines(5)) == 1  # one pixel off
    assert agreement.f1(lines(4), lines(6)) == 0
    # precision 1/2, recall 1
    assert agreement.f1(lines(4), lines(4, 10)) == pytest.approx(2 / 3)
    # precision 1, recall 1/3
    assert agreement.f1(lines(1, 6, 12), lines(6)) == pytest.approx(1 / 2)
    assert agreement.f1(lines(), lines()) == 1
    assert agreement.f1(lines(), lines(3)) == agreement.f1(lines(3), lines()) == 0


def test_iou_of_masks():
    assert agreement.iou(lines(1, 2), lines(2, 3)) == pytest.approx(1 / 3)
    assert agreement.iou(lines(), lines()) == 1
    assert agreement.iou(lines(), lines(1)) == 0


def test_mse_is_in_grey_levels():
    assert agreement.mse(lines(), lines(3)) == pytest.approx(255**2 / 16)
    assert agreement.mse(np.uint8([[3]]), np.uint8([[5]])) == 4  # unsigned numbers do not wrap
