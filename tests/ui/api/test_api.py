"""The public API of the page: its surface, and the same images as the library."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import var_spaces
from leaderboard.store import open_store
from leaderboard.submissions.verdict import Verdict
from tests.leaderboard.results import ENTRY, pair
from var_spaces.methods import kinds
from var_spaces.pictures import digest
from var_spaces.ui.api.services import leaderboard
from var_spaces.ui.app import build_app, launch_options


def test_surface(models):
    """Change this on purpose only: programs depend on it."""
    found = build_app().get_api_info()["named_endpoints"]
    assert sorted(found) == [
        "/compare",
        "/edit",
        "/estimate",
        "/generate",
        "/leaderboard",
        "/methods",
        "/models",
    ]
    parameters = {
        parameter["parameter_name"]: parameter["python_type"]["type"]
        for parameter in found["/generate"]["parameters"]
    }
    expected = {
        "model": "str",
        "class_": "None | str",
        "style": "None | str",
        "seed": "None | int",
        "count": "None | int",
        "first": "None | int",
        "guidance": "None | str",
        "guidance_scale": "float | list[float] | None",
        "sampling": "None | str",
        "temperature": "float | list[float] | None",
        "top_k": "int | list[int] | None",
        "top_p": "None | float",
        "smooth": "None | bool",
        "cache": "None | str",
        "decoding": "None | str",
    }
    assert parameters.items() >= expected.items()
    needed = [p for p in found["/generate"]["parameters"] if not p["parameter_has_default"]]
    assert [p["parameter_name"] for p in needed] == ["model"]
    edit = {p["parameter_name"]: p for p in found["/edit"]["parameters"]}
    expected |= {
        "source": "filepath",
        "mask": "filepath",
        "task": "None | str",
        "rectangle": "float | list[float] | None",
        "mode": "None | str",
        "composite": "None | bool",
        "keep": "None | int",
    }
    assert {name: p["python_type"]["type"] for name, p in edit.items()}.items() >= expected.items()
    needed = [name for name, p in edit.items() if not p["parameter_has_default"]]
    assert needed == ["model", "source"]


def test_the_page_is_served_with_care():
    options = launch_options()
    assert options["show_error"] is False
    assert options["enable_monitoring"] is False
    assert options["run_history"] is False
    assert options["max_file_size"]


@pytest.fixture(scope="module")
def connected(_served):
    found = Client(_served[0], verbose=False)
    yield found
    found.close()


@pytest.fixture
def client(connected, served):
    return connected


def test_generate_streams_and_equals_the_library(client):
    job = client.submit("tiny-styled", class_="cat", style="flat", seed=5, api_name="/generate")
    last = job.result(timeout=60)
    messages = job.outputs()
    assert messages[0]["phase"] == "loading"
    assert [len(message["scales"]) for message in messages] == sorted(
        len(message["scales"]) for message in messages
    )
    assert last["phase"] == "done"
    (image,) = var_spaces.generate(model="tiny-styled", class_="cat", style="flat", seed=5)
    assert last["record"]["image_sha256"] == [hashlib.sha256(image.tobytes()).hexdigest()]
    assert last["pictures"][0].startswith("data:image/png;base64,")


def test_parameters_of_methods(client):
    last = client.predict(
        "tiny-var", guidance="per-scale", guidance_scale=1.5, top_k=1, count=2, api_name="/generate"
    )
    assert last["spec"]["guidance"] == {"name": "per-scale", "scale": [1.5]}
    assert last["spec"]["sampling"]["top_k"] == 1
    assert last["spec"]["inputs"] == {"class": None, "style": None}
    assert len(last["pictures"]) == 2


@pytest.fixture
def source(tmp_path):
    """A picture to edit, and the same as pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "source.png")
    return handle_file(str(tmp_path / "source.png")), Image.fromarray(pixels)


def test_edits_stream_and_equal_the_library(client, source, tmp_path):
    uploaded, picture = source
    mask = Image.new("L", (32, 32))
    mask.paste(255, (0, 0, 32, 16))
    mask.save(tmp_path / "mask.png")
    settings = {"class_": "cat", "style": "flat", "seed": 5}
    drawn = handle_file(str(tmp_path / "mask.png"))
    job = client.submit("tiny-styled", uploaded, mask=drawn, **settings, api_name="/edit")
    last = job.result(timeout=60)
    assert [message["phase"] for message in job.outputs()][:2] == ["loading", "running"]
    (image,) = var_spaces.generate(
        model="tiny-styled", task="edit", image=picture, mask=mask, **settings
    )
    assert last["record"]["image_sha256"] == [hashlib.sha256(image.tobytes()).hexdigest()]
    settings = {"task": "refine", "keep": 2, "seed": 5}
    last = client.predict("tiny-styled", uploaded, **settings, api_name="/edit")
    (image,) = var_spaces.generate(model="tiny-styled", image=picture, **settings)
    assert last["record"]["image_sha256"] == [hashlib.sha256(image.tobytes()).hexdigest()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "There is no region yet"),
        ({"rectangle": [0, 0, 2, 1]}, "fractions of the picture"),
        ({"rectangle": [0, 0, 1, 1], "mode": "erase"}, "in-painting"),
        (
            {"task": "generate"},
            "/edit has no task 'generate'. Tasks: edit, instruct, paint-prompt, refine.",
        ),
        ({"task": "refine", "keep": -1}, "keep = -1"),
    ],
)
def test_edits_are_refused_in_one_line(client, source, arguments, message):
    with pytest.raises(AppError, match=re.escape(message)) as error:
        client.predict("tiny-styled", source[0], **arguments, api_name="/edit")
    assert "Traceback" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "tiny-vra"}, "Unknown model 'tiny-vra'. Did you mean 'tiny-var'?"),
        ({"model": "tiny-var", "class_": "cta"}, "has no class 'cta'. Did you mean 'cat'?"),
        ({"model": "tiny-var", "seed": -1}, "seed = -1 is out of range"),
        ({"model": "tiny-var", "count": 0}, "count = 0 is out of range"),
        ({"model": "tiny-var", "guidance_layers": 1}, "has no parameter 'guidance_layers'"),
        ({"model": "tiny-var", "cache": "<b>"}, "Unknown cache '&lt;b&gt;'"),
        ({"model": {"a": 1}}, "Unknown model"),
    ],
)
def test_refusals_are_one_line(client, arguments, message):
    with pytest.raises(AppError) as error:
        client.predict(**arguments, api_name="/generate")
    assert message in str(error.value)
    assert "Traceback" not in str(error.value)


def test_an_estimate_is_of_the_run_that_is_drawn(client):
    run = {"model": "tiny-styled", "inputs": {"class": "cat", "style": "flat"}, "seed": 5}
    found = client.predict(run, api_name="/estimate")
    drawn = client.predict("tiny-styled", class_="cat", style="flat", seed=5, api_name="/generate")
    assert found["id"] == drawn["id"]  # defaults of the card in both
    assert found["kv"] == [scale["kv_bytes"] for scale in drawn["scales"]]
    assert found["fits"] is True
    assert found["gpu_seconds"] > 0
    small = client.predict(run, 1000, api_name="/estimate")
    assert small["fits"] is False and small["what_fits"] == "a smaller model"


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({}, "Unknown model"),
        ([], "must be a JSON object"),
        ({"model": "tiny-vra"}, "Did you mean 'tiny-var'?"),
        ({"model": "tiny-var", "sed": 1}, "Did you mean 'seed'?"),
        ({"model": "tiny-var", "inputs": {"class": "../../x"}}, "has no class"),
        (
            {"model": "tiny-var", "inputs": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {}}}}}}}}},
            "deep",
        ),
    ],
)
def test_estimates_are_refused_in_one_line(client, run, message):
    with pytest.raises(AppError, match=re.escape(message)) as error:
        client.predict(run, api_name="/estimate")
    assert "Traceback" not in str(error.value)


def test_comparisons_stream_and_equal_runs_do_not_differ(client):
    run = {"model": "tiny-styled", "inputs": {"class": "cat", "style": "flat"}, "seed": 5}
    other = {**run, "seed": 6}
    job = client.submit([run, run, other], api_name="/compare")
    last = job.result(timeout=60)
    assert len(job.outputs()) > 4
    assert [r["id"] for r in last["runs"]] == [r["record"]["id"] for r in last["runs"]]
    assert [(pair["a"], pair["b"]) for pair in last["pairs"]] == [(0, 1), (0, 2), (1, 2)]
    assert (last["pairs"][0]["agreement"], last["pairs"][0]["first"]) == (1, None)
    assert last["pairs"][1]["agreement"] < 1
    assert last["pairs"][1]["first"]["scale"] >= 0


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "list of 2 to 4"),
        ({}, "list of 2 to 4"),
        ([{"model": "tiny-var"}] * 5, "list of 2 to 4"),
        ([{"model": "tiny-var"}, {"model": "tiny-vra"}], "Did you mean 'tiny-var'?"),
        ([{"model": "tiny-var", "count": 64}] * 2, "one picture of each run"),
    ],
)
def test_comparisons_are_refused_in_one_line(client, runs, message):
    with pytest.raises(AppError, match=re.escape(message)):
        client.predict(runs, api_name="/compare")


def test_pictures_of_a_comparison_are_handed_in_once(client, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "own.png")
    picture = handle_file(str(tmp_path / "own.png"))
    run = {"model": "tiny-styled", "task": "refine", "inputs": {"class": "cat", "keep": 2}}
    last = client.predict([run, {**run, "seed": 9}], source=picture, api_name="/compare")
    assert {r["spec"]["inputs"]["source"] for r in last["runs"]} == {digest(pixels)}
    for changes, message in (
        ({"mask": picture, "source": picture}, "Task 'refine' takes no mask: leave it out."),
        ({}, "There is no picture yet"),
    ):
        with pytest.raises(AppError, match=re.escape(message)) as error:
            client.predict([run, run], **changes, api_name="/compare")
        assert "Traceback" not in str(error.value)


def test_the_leaderboard_can_be_asked(client):
    assert isinstance(client.predict(api_name="/leaderboard"), list)
    assert isinstance(client.predict("smoke", api_name="/leaderboard"), list)
    with pytest.raises(AppError, match=r"There is no suite 'smok'\. Did you mean 'smoke'"):
        client.predict("smok", api_name="/leaderboard")


def test_the_leaderboard_tells_the_newest_of_each_entry_with_its_verdict(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_LEADERBOARD", str(tmp_path / "store"))
    monkeypatch.setattr("leaderboard.store.places.SEEDED", tmp_path / "seeded")
    monkeypatch.setattr("var_spaces.ui.api.services.MAX_ROWS", 2)
    ids, store = [], open_store()
    for number in (1, 2, 3, 4):
        entry = {**ENTRY, "cache": {"name": "hack", "budget": max(number, 2) / 10}}
        store.add(*(made := pair(number, entry=entry)))
        ids.append(made[0].id)
    verdict = Verdict(
        result=ids[2], verdict="mismatch", images=(), equal_tokens=0, equal_pixels=0,
        created="2026-01-02T00:00:00Z",
    )  # fmt: skip
    store.update(verdict.path, lambda _: verdict.to_json().encode(), "Verdict")
    told = [(row["id"], row["verdict"]) for row in leaderboard("smoke")]
    assert told == [(ids[2], "mismatch"), (ids[3], "")]  # the newest of two at most
    monkeypatch.setattr("var_spaces.ui.api.services.MAX_ROWS", 9)
    assert [row["id"] for row in leaderboard()] == ids[1:]  # the first was run again


def test_lists(client):
    assert [card["id"] for card in client.predict(api_name="/models")] == [
        "tiny-styled",
        "tiny-var",
    ]
    assert "folder" not in client.predict(api_name="/models")[0]
    found = client.predict(api_name="/methods")
    assert {method["kind"] for method in found} == set(kinds())
