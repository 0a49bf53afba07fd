"""From an adapter's folder to its pictures: library, command line, refusals, two runs at once."""

from __future__ import annotations

import json
from itertools import zip_longest

import numpy as np
import pytest
from PIL import Image

import var_spaces
from tests.infinity import write_models
from tests.toy_adapter import write_adapter
from var_spaces.cli import main
from var_spaces.errors import VarSpacesError
from var_spaces.events import Finished
from var_spaces.spec import RunSpec
from var_spaces.zoo.residency import ZOO, weights_of

BRIGHT = np.full((8, 8, 3), 255, np.uint8)
DARK = np.zeros((8, 8, 3), np.uint8)
THREE = {"name": "conditions", "scale": 2, "condition": 3}
ASK = {"prompt": "a red apple", "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = write_models(tmp_path_factory.mktemp("adapters"))
    write_adapter(found / "shift", "tiny-t2i", seed=1)
    write_adapter(found / "nothing", "tiny-t2i", seed=1, scale=0)
    return found


@pytest.fixture(autouse=True)
def _known(folder, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(folder))


def draw(model, **settings):
    events = var_spaces.stream(model=model, previews=False, **ASK, **settings)
    (done,) = (event for event in events if isinstance(event, Finished))
    return done


def base(**settings):
    return draw("tiny-t2i", task="text-to-image", **settings)


def test_an_adapter_of_nothing_draws_as_its_base():
    want, got = base(), draw("nothing", map=BRIGHT)
    assert got.record.token_sha256 == want.record.token_sha256
    assert (got.images[0] == want.images[0]).all()
    assert got.record.id != want.record.id


def test_what_it_draws_follows_the_picture():
    plain, bright, dark = base(), draw("shift", map=BRIGHT), draw("shift", map=DARK)
    tokens = {d.record.token_sha256 for d in (plain, bright, dark)}
    assert len(tokens) == 3
    assert draw("shift", map=Image.fromarray(BRIGHT)).record.token_sha256 in tokens
    record = bright.record
    assert record.weights_sha256 == weights_of(var_spaces.load("shift").card)
    assert record.weights_sha256 != plain.record.weights_sha256
    assert base().record.token_sha256 == plain.record.token_sha256  # the base is as it was


def test_runs_of_base_and_adapter_share_the_base_and_do_not_disturb_each_other():
    models = {
        "tiny-t2i": {"task": "text-to-image"},
        "shift": {"map": BRIGHT},
        "nothing": {"map": DARK},
    }
    alone = [draw(name, count=2, **given).record.token_sha256 for name, given in models.items()]
    runs = [
        var_spaces.stream(model=name, previews=False, count=2, **ASK, **given)
        for name, given in models.items()
    ]
    turns = [event for turn in zip_longest(*runs) for event in turn]
    together = [event.record.token_sha256 for event in turns if isinstance(event, Finished)]
    assert together == alone
    loaded = [key.model for key in ZOO.loaded()]
    assert loaded.count("tiny-t2i") == 1 and {"shift", "nothing"} <= set(loaded)
    assert var_spaces.load("shift").backbone is var_spaces.load("tiny-t2i").backbone
    assert var_spaces.load("tiny-t2i").adapter is None


def test_the_spec_repeats_it(tmp_path):
    image = var_spaces.generate(model="shift", map=BRIGHT, **ASK)[0]
    image.save(tmp_path / "a.png")
    spec = RunSpec.read_png(tmp_path / "a.png")
    assert (spec.model, spec.task) == ("shift", "test-control")
    key = spec.inputs["map"]
    again = var_spaces.generate(spec, images={key: BRIGHT})[0]
    assert (np.asarray(again) == np.asarray(image)).all()
    with pytest.raises(VarSpacesError, match=r"The map with content hash .* is missing"):
        var_spaces.generate(spec)
    with pytest.raises(VarSpacesError, match="not the one its hash"):
        var_spaces.generate(spec, images={key: DARK})


@pytest.mark.parametrize("flag", ["--map", "--picture"])
def test_on_the_command_line(tmp_path, capsys, flag):
    Image.fromarray(BRIGHT).save(tmp_path / "map.png")
    out = tmp_path / "out.png"
    command = ["generate", "--model", "shift", "--prompt", ASK["prompt"], "--seed", "3"]
    command += ["--task", "test-control", flag, str(tmp_path / "map.png"), "--out", str(out)]
    assert main([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert tuple(record["token_sha256"]) == draw("shift", map=BRIGHT).record.token_sha256
    without = [word for word in command if word not in ("--task", "test-control")]
    assert main(without) == 0  # the card's own task
    Image.fromarray(BRIGHT[..., 0]).save(tmp_path / "region.png")
    assert main([*command, "--region", str(tmp_path / "region.png")]) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "tiny-t2i", "task": "test-control", "map": BRIGHT}, "test-shifting"),
        ({"model": "shift", "task": "text-to-image"}, "it follows a map"),
        ({"model": "shift"}, r"There is no map yet: hand one in \(map="),
        ({"model": "shift", "map": BRIGHT, "guidance": THREE}, "mixes the conditions"),
        ({"model": "shift", "map": "none.png"}, "The map cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_before_work(settings, message):
    with pytest.raises(VarSpacesError, match=message) as error:
        var_spaces.stream(**settings)
    assert "\n" not in str(error.value)
