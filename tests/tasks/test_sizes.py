"""Any size, shape and number of steps; editing, expansion and refinement on such maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import var_spaces
from tests.flex import save_tiny
from var_spaces.api import make_spec
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan

NOTHING = np.zeros((64, 64), bool)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("flex")
    save_tiny(path)
    return path


@pytest.fixture(autouse=True)
def use_models(folder, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(folder))


def draw(**settings):
    *_, last = var_spaces.stream(model="tiny-flex", previews=False, **settings)
    return last


def source(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("width", "height"), [(24, 16), (8, 32), (40, 40)])
def test_any_size(width, height):
    last = draw(class_="key", width=width, height=height)
    assert last.images[0].shape == (height, width, 3)
    rows = [row.size for row in last.record.scales]
    assert rows[0] == (1, 1) and rows[-1] == (height // 4, width // 4)


def test_any_number_of_steps():
    assert [len(draw(steps=steps).record.scales) for steps in (2, 3, 4)] == [2, 3, 4]


def test_one_spelling():
    """Sizes become whole tokens; what the model draws anyhow is left out."""

    def inputs(**size):
        found = plan(make_spec("tiny-flex", **size)[0]).spec.inputs
        return tuple(found.get(name) for name in ("width", "height", "steps"))

    assert inputs(width=17, height=15, steps=3) == inputs() == (None, None, None)
    assert inputs(width=31) == inputs(width=32, height=16) == (32, 16, None)
    assert inputs(steps=4) == (None, None, 4)


def test_refusals(use_tiny_models):
    with pytest.raises(VarSpacesError, match="a size or a number of steps of its own"):
        plan(make_spec("tiny-var", width=32)[0])
    with pytest.raises(VarSpacesError, match="4x4 tokens takes 2 to 4 steps, not 9"):
        plan(make_spec("tiny-flex", steps=9)[0])
    with pytest.raises(VarSpacesError, match="too large"):
        plan(make_spec("tiny-flex", width=2048, height=2048)[0])
    with pytest.raises(VarSpacesError, match="Give a schedule, or a shape and steps"):
        plan(make_spec("tiny-flex", steps=2, schedule=[(1, 1), (3, 3)])[0])
    with pytest.raises(VarSpacesError, match="mixes code vectors"):
        plan(make_spec("tiny-flex", smooth=True)[0])


def test_any_list_of_maps():
    many = [(1, 1), *((k, 2 * k) for k in range(1, 20))]
    assert len(draw(schedule=many).record.scales) == 20


@pytest.mark.parametrize("mode", ["in-painting", "out-painting"])
def test_composite_keeps_pixels(mode):
    """At another size and shape, pixels outside the painted part are those of the picture."""
    picture = source(24, 32)
    last = draw(
        task="edit",
        image=picture,
        rectangle=(0.25, 0.25, 0.75, 0.75),
        mode=mode,
        composite=True,
        width=32,
        height=24,
    )
    inside = np.zeros((24, 32), bool)
    inside[6:18, 8:24] = True
    same = (last.images[0] == picture).all(-1)
    assert same[inside if mode == "out-painting" else ~inside].all()
    assert not same.all()


def test_maps_of_the_picture_may_stay_as_latents():
    """On every map the part outside is that of the picture, as with tokens: none sums up others."""
    seen = {"tokens": {}, "latents": {}}
    for keeps, found in seen.items():
        draw(
            task="edit",
            image=source(16, 16),
            rectangle=(0, 0.5, 1, 1),
            keeps=keeps,
            observe=lambda what, k, t, found=found: found.__setitem__((what, k), t),
        )
    one, other = (found["f_hat", max(k for _, k in found)] for found in seen.values())
    assert one.shape[-2:] == (4, 4)
    torch.testing.assert_close(one[..., :2], other[..., :2])
    ids = [found["ids", 0] for found in seen.values()]
    drawn = [found["drawn_ids", 0] for found in seen.values()]
    assert torch.equal(ids[1], drawn[1])  # no token is given


def test_expansion():
    """The whole picture lies in the rectangle of a larger canvas."""
    picture = source(16, 16)
    half = (0.0, 0.0, 1.0, 0.5)
    settings = {"task": "edit", "image": picture, "mode": "expansion", "rectangle": half}
    last = draw(**settings, width=32, composite=True)
    assert last.images[0].shape == (16, 32, 3)
    assert (last.images[0][:, :16] == picture).all()
    with pytest.raises(VarSpacesError, match="The rectangle is missing"):
        make_spec("tiny-flex", task="edit", image=picture, mode="expansion", mask=picture)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "edit", "rectangle": (0, 0, 0.01, 0.01)}, "less than half of every token"),
        ({"task": "edit", "rectangle": (0.124, 0, 0.126, 1)}, "less than half of every token"),
        ({"task": "edit", "mode": "out-painting", "rectangle": (0, 0, 1, 1)}, "less than half"),
        ({"task": "edit", "mode": "expansion", "rectangle": (0, 0, 0.001, 1)}, "region to keep"),
        ({"task": "edit", "mode": "expansion", "rectangle": (0, 0, 0.03, 0.5)}, "region to keep"),
        ({"task": "edit", "mode": "out-painting", "rectangle": (0, 0, 1, 0.01)}, "region to keep"),
        ({"task": "edit", "mode": "out-painting", "mask": NOTHING}, "marks no region"),
        ({"task": "edit", "mask": ~NOTHING[:, :32]}, "The mask is 32x64 pixels, its picture 64x64"),
        ({"task": "refine", "keep": 0}, "wants a picture that is smaller"),
        (
            {"task": "refine", "keep": 1, "image": source(2, 17)},
            "The picture is 17x2 pixels, longer than 8 times its other side",
        ),
    ],
)
def test_pictures_are_refused_before_any_work(settings, message):
    """When a run is asked for, not when it is drawn."""
    with pytest.raises(VarSpacesError, match=message):
        var_spaces.stream(model="tiny-flex", **{"image": source(64, 64), **settings})


def test_refinement_of_a_small_picture():
    """With keep = 0 all scales up to the picture's own size are given, and only those."""
    drawn = []

    def observe(what, scale, tensor):
        if what == "drawn_ids":
            drawn.append(tensor)

    picture = source(8, 8)
    settings = {"task": "refine", "image": picture, "keep": 0, "width": 32, "height": 32}
    *_, last = var_spaces.stream(model="tiny-flex", previews=False, observe=observe, **settings)
    spec, pictures = make_spec("tiny-flex", **settings)
    found = plan(spec)
    tokenizer = var_spaces.load("tiny-flex").tokenizer
    given = found.task.substitution(tokenizer, found.schedule, pictures)
    kept = [bool(keep.all()) for keep in given.keep]
    assert kept == [h <= 2 for h, _ in found.schedule.sizes]
    assert last.images[0].shape == (32, 32, 3)
    with pytest.raises(VarSpacesError, match="smaller than what is drawn"):
        draw(**{**settings, "width": 8, "height": 8})
