"""Drawing along a control map: library, command line, cache policies, strategies, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import var_spaces
from tests.controls import KINDS, WORDS, write_control
from tests.infinity import write_models
from var_spaces import methods
from var_spaces.adapters.reference_attention import ReferenceAttention
from var_spaces.cli import main
from var_spaces.errors import VarSpacesError
from var_spaces.events import Finished
from var_spaces.spec import RunSpec
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.estimate import estimate

PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
ASK = {"prompt": "a red apple", "seed": 3}
THREE = {**WORDS, "condition": 3}


@pytest.fixture(scope="module", autouse=True)
def _known(tmp_path_factory):
    folder = write_models(tmp_path_factory.mktemp("control"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_MODELS", str(folder))
        write_control(folder / "tiny-control")
        write_control(folder / "tiny-zero", drawn=False)
        for way in ("joint", "additive"):
            write_control(folder / f"tiny-{way}", way=way)
        yield


def draw(model="tiny-control", **settings):
    events = var_spaces.stream(model=model, previews=False, **ASK, **settings)
    (done,) = (event for event in events if isinstance(event, Finished))
    return done


def tokens(*args, **settings):
    return draw(*args, **settings).record.token_sha256


@pytest.fixture(scope="module")
def base():
    return tokens("tiny-t2i", task="text-to-image", guidance={"name": "per-scale", "scale": 2})


# --- what is drawn --------------------------------------------------------------------------------


def test_an_untrained_adapter_draws_as_its_base(base):
    assert tokens("tiny-zero", image=PICTURE) == base
    two_rows = {"name": "per-scale", "scale": 2}
    assert tokens("tiny-zero", image=PICTURE, guidance=two_rows) == base


def test_without_weight_or_strength_it_draws_as_its_base(base):
    assert tokens(image=PICTURE, strength=0.0) == base
    assert tokens(image=PICTURE, guidance={**WORDS, "condition": 0}) == base
    assert tokens(image=PICTURE) != base


def test_picture_kind_and_scales_matter():
    found = {
        tokens(image=PICTURE),
        tokens(image=PICTURE[::-1].copy()),
        tokens(image=PICTURE, control="palette"),
        tokens(image=PICTURE, from_scale=1),
        tokens(image=PICTURE, to_scale=0),
        tokens(image=PICTURE, strength=1.5),
        tokens(image=PICTURE, guidance={**WORDS, "condition": 4}),
    }
    assert len(found) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_ready_map_draws_what_its_picture_draws(kind):
    control = methods.parse("control", kind)
    assert tokens(map=control.extract(PICTURE), control=kind) == tokens(image=PICTURE, control=kind)


def test_a_batch_is_its_images_drawn_alone():
    together = tokens(image=PICTURE, count=2)
    assert together == tokens(image=PICTURE) + tokens(image=PICTURE, first=1)


@pytest.mark.parametrize("way", ["joint", "additive"])
def test_other_ways_follow_the_map_too(way):
    two_rows = {"guidance": {"name": "per-scale", "scale": 2}}
    found = [tokens(f"tiny-{way}", image=p, **two_rows) for p in (PICTURE, PICTURE[::-1].copy())]
    assert found[0] != found[1]


def test_another_shape_takes_its_map_in_that_shape():
    done = draw(image=np.zeros((16, 16, 3), np.uint8), aspect="2:1", control="palette")
    assert done.images[0].shape[1] > done.images[0].shape[0]


# --- what it works with ---------------------------------------------------------------------------


@pytest.mark.parametrize("policy", methods.names("cache"))
def test_every_cache_policy(policy):
    try:
        found = tokens(image=PICTURE, cache=policy)
    except VarSpacesError as error:  # a policy that this tiny model cannot have, whatever the task
        with pytest.raises(VarSpacesError, match=str(error)[:40]):
            tokens("tiny-t2i", task="text-to-image", cache=policy)
        return
    assert found != tokens("tiny-zero", image=PICTURE, cache=policy)


@pytest.mark.parametrize("way", ["control", "joint", "additive"])
def test_sub_networks(way):
    """Which blocks see the map when some are left out is tested with the adapter."""
    guidance = {"name": "per-scale", "scale": 2}
    supernet = {"name": "supernet", "depth": 2, "bridge": 1}
    found = tokens(f"tiny-{way}", image=PICTURE, decoding=supernet, guidance=guidance)
    assert found == tokens(f"tiny-{way}", image=PICTURE, guidance=guidance)


def test_searches():
    search = {"name": "best-of-n", "candidates": 2, "reward": "clip"}
    done = draw(image=PICTURE, decoding=search)
    assert len(done.images) == 1


def test_collaborative_decoding_is_refused_with_the_reason():
    with pytest.raises(VarSpacesError, match="an adapter is made for one model"):
        draw(image=PICTURE, decoding={"name": "collaborative", "refiner": "tiny-t2i"})


# --- the command line -----------------------------------------------------------------------------


def test_on_the_command_line(tmp_path, capsys):
    Image.fromarray(PICTURE).save(tmp_path / "house.png")
    command = ["generate", "--model", "tiny-control", "--prompt", ASK["prompt"], "--seed", "3"]
    out = ["--out", str(tmp_path / "o.png")]
    picture = ["--control", "palette", "--picture", str(tmp_path / "house.png")]
    assert main([*command, *picture, *out]) == 0
    spec = RunSpec.read_png(tmp_path / "o.png")
    assert (spec.task, spec.inputs["control"]) == ("control", "palette")
    edges = ["--kind", "palette", "--picture", picture[-1], "--out", str(tmp_path / "map.png")]
    assert main(["control", *edges]) == 0
    ready = ["--control", "palette", "--map", str(tmp_path / "map.png")]
    assert main([*command, *ready, "--out", str(tmp_path / "m.png")]) == 0
    drawn = [np.asarray(Image.open(tmp_path / name)) for name in ("o.png", "m.png")]
    assert np.array_equal(*drawn)
    assert main([*command, *picture, "--guidance-condition", "31", *out]) == 2
    assert "31" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"to take the map from, or a ready map \(source=... or map=...\)"),
        ({"image": PICTURE, "map": PICTURE}, "There are both a picture"),
        ({"image": PICTURE, "control": "blur"}, "knows no control 'blur': choose canny, palette"),
        ({"image": PICTURE, "control": "edges"}, "control = 'edges'"),
        ({"image": PICTURE, "from_scale": 2, "to_scale": 1}, "must be at least from_scale"),
        ({"image": PICTURE, "from_scale": 3}, r"from_scale = 3: 3 scales .*allowed is 0 to 2\."),
        ({"image": PICTURE, "to_scale": 3}, r"to_scale = 3: 3 scales .*allowed is 0 to 2\."),
        ({"image": PICTURE, "from_scale": 2, "schedule": ((1, 1), (2, 2))}, "allowed is 0 to 1"),
        ({"image": PICTURE, "model": "tiny-t2i", "task": "control"}, "it draws along a map"),
        ({"task": "text-to-image"}, "it draws along a map"),
        ({"image": PICTURE, "model": "tiny-joint", "guidance": THREE}, "mixes the conditions"),
    ],
)
def test_what_does_not_fit_is_refused_before_work(settings, message):
    with pytest.raises(VarSpacesError, match=message) as error:
        var_spaces.stream(**{"model": "tiny-control", **ASK, **settings})
    assert "\n" not in str(error.value)


# --- the estimate ---------------------------------------------------------------------------------


def test_the_estimate_counts_the_stream():
    card, base = get_card("tiny-control"), get_card("tiny-t2i")
    more = {"cache": methods.parse("cache", "full"), "guidance": methods.parse("guidance", WORDS)}
    kv = [estimate(each, **more).kv[-1] for each in (card, base)]
    width, depth = base.architecture["width"], base.architecture["depth"]
    assert kv[0] - kv[1] == 2 * 4 * width * depth * card.schedule.total
    assert ReferenceAttention().blocks(32) == range(16)
