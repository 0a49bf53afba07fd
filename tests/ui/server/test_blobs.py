"""Drawings that come in pieces: as much as a drawing can be, and no more."""

from __future__ import annotations

import tracemalloc

import gradio as gr
import httpx
import pytest

from var_spaces.ui.form.uploads import be_careful
from var_spaces.ui.queue.limits import MIB
from var_spaces.ui.server import blobs
from var_spaces.ui.server.blobs import DRAWINGS, MAX_LAYERS, Drawings


def drawings(**options) -> tuple[Drawings, list[float]]:
    now = [0.0]
    return Drawings(clock=lambda: now[0], **options), now


def test_pieces_make_a_drawing():
    held, _ = drawings()
    held.put("d", "a", "background", None, b"back")
    held.put("d", "a", "layer", 1, b"second")
    held.put("d", "a", "composite", None, b"all")
    found = held.get("d")
    assert (found.background, found.layers, found.composite) == (b"back", [None, b"second"], b"all")
    held.pop("d")
    assert len(held) == 0


@pytest.mark.parametrize(
    ("name", "kind", "index"),
    [
        ("", "layer", 0),
        ("x" * 65, "layer", 0),
        ("d", "layer", None),
        ("d", "layer", -1),
        ("d", "layer", MAX_LAYERS),
        ("d", "layer", 60_000_000),
        ("d", "constructor", 0),
    ],
)
def test_what_no_drawing_has_is_refused(name, kind, index):
    held, _ = drawings()
    with pytest.raises(ValueError, match=r"name|layers|piece"):
        held.put(name, "a", kind, index, b"x")
    assert len(held) == 0


def test_one_address_pushes_out_its_own_drawings_only():
    held, _ = drawings(each=100, most=10_000)
    held.put("other", "b", "background", None, bytes(60))
    for number in range(5):
        held.put(f"d{number}", "a", "background", None, bytes(60))
    assert sorted(held) == ["d4", "other"]


def test_drawings_without_a_byte_are_bounded(monkeypatch):
    monkeypatch.setattr(blobs, "MAX_EACH", 3)
    monkeypatch.setattr(blobs, "MAX_DRAWINGS", 8)
    held, _ = drawings()
    for number in range(50):
        held.put(f"{number % 5}-{number}", str(number % 5), "background", None, b"")
        assert len(held) <= 8
    assert len([name for name in held if name.startswith("4-")]) <= 3


def test_all_together_are_bounded_and_the_oldest_leaves():
    held, _ = drawings(each=100, most=150)
    for number in range(9):
        held.put(f"d{number}", f"address {number}", "background", None, bytes(60))
    assert sorted(held) == ["d7", "d8"]
    assert held.bytes == 120


def test_drawings_that_nobody_fetches_are_forgotten():
    held, now = drawings(age=10)
    held.put("old", "a", "background", None, b"x")
    now[0] = 11
    held.put("new", "a", "background", None, b"x")
    assert list(held) == ["new"]


def test_nobody_adds_to_the_drawing_of_another_address():
    held, _ = drawings()
    held.put("d", "a", "background", None, b"mine")
    held.put("d", "b", "layer", 0, b"theirs")
    assert held["d"].background is None


def test_an_editor_that_is_made_anew_is_as_careful():
    """Gradio makes a component anew, from its class, when an event updates it."""
    be_careful()
    with gr.Blocks():
        first, second = gr.ImageEditor(), gr.ImageEditor()
    assert first.blob_storage is second.blob_storage is DRAWINGS


def piece(url: str, **fields: str) -> httpx.Response:
    data = {"fn_name": "accept_blobs", "component_id": "1", "session_hash": "s", "id": "d"}
    data |= {"type": "layer", "index": "0"}
    files = {"file": ("layer.png", b"0123456789")}
    address = f"{url}gradio_api/component_server"
    return httpx.post(address, data=data | fields, files=files, timeout=60)


def test_a_small_request_takes_no_memory(served):
    tracemalloc.start()
    answer = piece(served, index="60000000")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 400
    assert peak < 8 * MIB
    assert "d" not in DRAWINGS


@pytest.mark.parametrize(
    "fields",
    [
        {"index": "-1"},
        {"index": "1e9"},
        {"index": "²"},
        {"id": "x" * 100},
        {"id": ""},
        {"type": "__class__"},
        {"type": "background", "index": "60000000"},
    ],
    ids=str,
)
def test_wrong_pieces_are_refused_in_one_line(served, fields):
    answer = piece(served, **fields)
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("name", ["ls", "format", "__init__", "preprocess", ""])
def test_no_other_function_of_a_component_is_called(served, name):
    assert piece(served, fn_name=name).status_code == 404
    body = {"data": {}, "component_id": 1, "session_hash": "s", "fn_name": name}
    answer = httpx.post(f"{served}gradio_api/component_server", json=body, timeout=60)
    assert answer.status_code == 404


def test_a_drawing_of_the_page_is_kept_until_its_run(served):
    assert piece(served, id="kept").status_code == 200
    assert DRAWINGS.pop("kept").layers == [b"0123456789"]
