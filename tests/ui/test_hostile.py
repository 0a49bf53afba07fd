"""What a hostile visitor sends: refused or escaped, and the page goes on."""

from __future__ import annotations

import io
import itertools
import json
import struct
import tracemalloc
import zipfile
import zlib
from base64 import b64encode
from dataclasses import replace
from functools import partial
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio.components.image_editor import EditorData, EditorDataBlobs
from gradio.data_classes import FileData, ImageData
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from var_spaces import RunSpec
from var_spaces.codecs import PNG_SIGNATURE, encode_png
from var_spaces.errors import VarSpacesError
from var_spaces.spec import save_png
from var_spaces.ui.form.controls import Controls
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.uploads import UNREADABLE
from var_spaces.ui.run import handlers

ROOT = Path(__file__).parents[2]
FORM = Form("generate")
SPEC = RunSpec(model="tiny-styled", inputs={"class": "cat", "style": "flat"}, seed=5)
PIXELS = np.zeros((16, 16, 3), np.uint8)
SECRETS = ("root:", "[project]", "Traceback", str(ROOT))


@pytest.fixture(scope="module")
def connected(_served):
    found = Client(_served[0], verbose=False)
    yield found
    found.close()


# --- files ----------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG of ``side`` x ``side`` black pixels, some hundred kilobytes for 100 megapixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    row = b"\0" + bytes(3 * side)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    pieces = [chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(pieces)


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("../../evil.py", "print()")
    return buffer.getvalue()


GOOD = save_png(PIXELS, SPEC)
PLAIN = encode_png(PIXELS)
SCRIPT = b"<script>alert(1)</script>"
FILES = {
    "100 megapixels": (bomb(10_000), "holds no run spec"),
    "cut in the head": (GOOD[:20], "cut"),
    "cut in the pixels": (GOOD[:-40], "cut"),
    "only a head": (PNG_SIGNATURE, "cut"),
    "length beyond the end": (PNG_SIGNATURE + struct.pack(">I4s", 2**31, b"IHDR"), "cut"),
    "HTML": (SCRIPT, "not JSON"),
    "HTML called PNG": (PNG_SIGNATURE[:4] + SCRIPT, "not a PNG"),
    "ZIP with a path": (archive(), "UTF-8"),
    "picture without a spec": (PLAIN, "holds no run spec"),
    "spec of two megabytes": (
        PLAIN[:33] + chunk(b"tEXt", b"var-spaces\0" + b" " * 2**21) + PLAIN[33:],
        "larger than",
    ),
    "bomb in the text": (
        PLAIN[:33] + chunk(b"zTXt", b"var-spaces\0\0" + zlib.compress(b" " * 2**24)) + PLAIN[33:],
        "more than 64 kB",
    ),
    "deep JSON": (b"[" * 60_000, "nested deeper"),
    "path for a model": (b'{"model": "../../../etc/passwd"}', "Unknown model"),
}


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(("data", "message"), FILES.values(), ids=FILES)
def test_files_are_refused_in_one_line(tmp_path, data, message):
    path = tmp_path / "file.png" if data.startswith(PNG_SIGNATURE) else tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(VarSpacesError, match=message) as error:
        handlers.restore(FORM, path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("tail", [SCRIPT, archive(), GOOD], ids=["HTML", "ZIP", "PNG"])
def test_a_polyglot_is_read_as_the_picture_it_begins_with(tmp_path, tail):
    path = tmp_path / "both.png"
    path.write_bytes(GOOD + tail)
    assert handlers.restore(FORM, path).id == handlers.accept("generate", SPEC).id


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "../../../tmp/evil.py", "a.png"])
def test_uploads_are_never_served_as_pages(served, name):
    """Scripts of an upload do not run in the page's origin, and stay in the folder of uploads."""
    answer = httpx.post(f"{served}gradio_api/upload", files={"files": (name, SCRIPT)}, timeout=60)
    (path,) = answer.json()
    assert ".." not in path
    file = httpx.get(f"{served}gradio_api/file={path}", timeout=60)
    kind = file.headers["content-type"].partition(";")[0]
    attached = file.headers.get("content-disposition", "").startswith("attachment")
    assert attached or kind not in ("text/html", "image/svg+xml", "application/xhtml+xml")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "/proc/self/environ",
        str(ROOT / "pyproject.toml"),
        str(ROOT / "assets" / "models" / ".." / ".." / "pyproject.toml"),
        "file:///etc/passwd",
        "http://127.0.0.1:1/",
    ],
)
def test_no_file_of_the_server_is_given_away(served, path):
    answer = httpx.get(f"{served}gradio_api/file={path}", timeout=60)
    assert answer.status_code in (400, 403, 404)
    assert not any(secret in answer.text for secret in SECRETS[:2])


def test_a_path_is_no_upload(served):
    """The place to drop a picture takes files that were uploaded, not files of the server."""
    config = httpx.get(f"{served}config", timeout=60).json()
    drop = next(
        c["id"] for c in config["components"] if c["props"].get("elem_id") == "generate-drop"
    )
    event = next(d["id"] for d in config["dependencies"] if [drop, "upload"] in d["targets"])
    for path in ("/etc/passwd", str(ROOT / "pyproject.toml")):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        assert not any(secret in _outcome(served, event, [file]) for secret in SECRETS[:3])


def _outcome(url: str, event: int, data: list) -> str:
    """All that the server says to an event of the page."""
    body = {"data": data, "fn_index": event, "session_hash": f"s{event}"}
    answer = httpx.post(f"{url}gradio_api/queue/join", json=body, timeout=60)
    if answer.is_error:
        return answer.text
    said = ""
    address = f"{url}gradio_api/queue/data?session_hash=s{event}"
    with httpx.stream("GET", address, timeout=60) as stream:
        for line in stream.iter_lines():
            said += line
            if '"process_completed"' in line:
                break
    assert '"success":false' in said
    return said


# --- pictures to edit -----------------------------------------------------------------------------


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, kind)
    return buffer.getvalue()


PICTURES = {
    "100 megapixels": (FILES["100 megapixels"][0], "10000x10000, at most 4096x4096"),
    "cut": (encoded("JPEG")[:-200], UNREADABLE),
    "only a head": (PNG_SIGNATURE, UNREADABLE),
    "HTML": (SCRIPT, UNREADABLE),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT + b"</svg>", UNREADABLE),
    "PostScript": (encoded("EPS"), UNREADABLE),
    "TIFF": (encoded("TIFF"), UNREADABLE),
    "GIF": (encoded("GIF"), UNREADABLE),
    "ZIP": (archive(), UNREADABLE),
    "nothing": (b"", UNREADABLE),
}


@pytest.fixture(scope="module")
def controls():
    """The controls of a picture: that of the Edit tab, and a plain one as uploads have."""
    with gr.Blocks():
        edit = Form("edit")
        field = edit.field("inputs.source")
        make = partial(Controls(edit).make, card=None, task="edit", value=None)
        yield [make(replace(field, mask=mask)) for mask in ("mask", "")]


@pytest.mark.parametrize(("data", "message"), PICTURES.values(), ids=PICTURES)
def test_pictures_are_refused_before_they_are_decoded(tmp_path, controls, data, message):
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    editor, plain = controls
    blobs = EditorDataBlobs(background=data, layers=[], composite=None)
    file = FileData(path=str(path))
    for read in (
        lambda: editor.preprocess(EditorData(background=file, layers=[], composite=None)),
        lambda: editor.preprocess(EditorData(background=None, layers=[file], composite=None)),
        lambda: _drawn(editor, blobs),
        lambda: plain.preprocess(ImageData(path=str(path))),
    ):
        tracemalloc.start()
        with pytest.raises(gr.Error) as error:
            read()
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
        tracemalloc.stop()
        assert message in error.value.message


def _drawn(editor: gr.ImageEditor, blobs: EditorDataBlobs) -> object:
    """As the browser hands a drawing in: in pieces under an id."""
    editor.blob_storage["a"] = blobs
    return editor.preprocess(EditorData(background=None, layers=[], composite=None, id="a"))


def test_a_picture_inside_the_page_is_refused(controls):
    """Uploads are files: a data URI goes around the limit of their size."""
    with pytest.raises(gr.Error, match="cannot be read"):
        controls[1].preprocess(ImageData(url=f"data:image/png;base64,{b64encode(PLAIN).decode()}"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_read(tmp_path, controls, kind):
    path = tmp_path / "picture"
    path.write_bytes(encoded(kind))
    editor, plain = controls
    file = FileData(path=str(path))
    drawing = editor.preprocess(EditorData(background=file, layers=[], composite=file))
    assert drawing["background"].shape == (8, 8, 4)
    assert plain.preprocess(ImageData(path=str(path), orig_name="a.png")).shape == (8, 8, 4)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../etc/passwd",
        str(ROOT / "docs/screenshots/light.webp"),
        "http://127.0.0.1:1/",
    ],
)
def test_an_edit_takes_uploads_only(served, path):
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    for name in ("source", "mask"):
        said = answer(served, {"model": "tiny-styled", "source": file, name: file}, "edit")
        assert "event: error" in said or "detail" in said
        assert "data:image" not in said
        assert not any(secret in said for secret in SECRETS)


def test_an_edit_of_a_bad_picture_is_refused_in_one_line(served):
    for name, (data, message) in PICTURES.items():
        if name not in ("100 megapixels", "cut", "HTML"):  # the others are tested above
            continue
        upload = httpx.post(
            f"{served}gradio_api/upload", files={"files": ("a.png", data)}, timeout=60
        )
        file = {"path": upload.json()[0], "meta": {"_type": "gradio.FileData"}}
        said = answer(served, {"model": "tiny-styled", "source": file}, "edit")
        assert message in said, name
        assert "Traceback" not in said


# --- words ----------------------------------------------------------------------------------------

TEXTS = {
    "path": "../../../../etc/passwd",
    "null byte": "cat\0.png",
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "format": "{0.__class__} %s %n ${7*7} {{7*7}}",
    "long": "x" * 100_000,
    "half a character": "\ud800",
    "direction": "\u202egnp.exe",
}


def answer(url: str, settings: dict, endpoint: str = "generate") -> str:
    """All that an endpoint says to a request."""
    body = json.dumps(settings)
    started = httpx.post(
        f"{url}gradio_api/call/v2/{endpoint}",
        content=body,
        headers={"content-type": "application/json"},
        timeout=60,
    )
    if started.is_error:
        return started.text
    event = started.json()["event_id"]
    return httpx.get(f"{url}gradio_api/call/{endpoint}/{event}", timeout=60).text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_strings_are_names_or_refused(served, text):
    """In every parameter that takes text."""
    for field in ("model", "class_", "style", "guidance", "sampling", "cache", "decoding"):
        said = answer(served, {"model": "tiny-styled", field: text})
        assert "event: error" in said or "detail" in said, field
        assert "data:image" not in said
        assert "<script" not in said
        assert "<img" not in said
        assert len(said) < 2000
        assert not any(secret in said for secret in SECRETS)


RUN = {"model": "tiny-styled", "inputs": {"class": "cat"}}
NUMBERS = {
    "not a number": float("nan"),
    "endless": float("inf"),
    "below nothing": -5,
    "text": "NaN",
    "a truth": True,
    "a list": [1],
    "too much": 1e300,
}


@pytest.mark.parametrize("memory", NUMBERS.values(), ids=NUMBERS)
def test_memory_is_a_number_of_bytes(served, memory):
    said = answer(served, {"run": RUN, "memory": memory}, "estimate")
    assert "event: error" in said
    assert "must be bytes, a number from 0 to" in said


@pytest.mark.parametrize("key", ["suite", "model"])
@pytest.mark.parametrize("value", ["nope", ["smoke"], {"a": 1}, 5])
def test_rows_of_what_does_not_exist_are_refused(served, key, value):
    said = answer(served, {key: value}, "leaderboard")
    assert "event: error" in said
    assert f"There is no {key} " in said
    assert "event: complete" in answer(served, {"suite": "smoke"}, "leaderboard")


def test_deep_and_broken_json_end_a_request_and_nothing_else(served):
    deep = "[" * 100_000
    bodies = [deep, deep + "]" * 100_000, '{"data": ' + deep, "{", "\xff", '{"data": NaN}', ""]
    places = ("queue/join", "call/generate", "call/v2/generate", "run/predict", "cancel")
    for body, place in itertools.product(bodies, places):
        said = httpx.post(
            f"{served}gradio_api/{place}",
            content=body.encode("latin-1"),
            headers={"content-type": "application/json"},
            timeout=60,
        )
        assert said.status_code >= 400
        assert "Traceback" not in said.text
    assert httpx.get(f"{served}health", timeout=60).json()["status"] == "ok"


@pytest.mark.parametrize("event", [-1, 10**9, "a", None, {"a": 1}])
def test_events_that_do_not_exist(served, event):
    body = {"data": [], "fn_index": event, "session_hash": "s"}
    said = httpx.post(f"{served}gradio_api/queue/join", json=body, timeout=60)
    assert said.status_code >= 400
    assert "Traceback" not in said.text


def test_the_page_still_draws(connected, served):
    found = connected.predict("tiny-styled", class_="cat", seed=1, api_name="/generate")
    assert found["phase"] == "done"
    with pytest.raises(AppError):
        connected.predict("tiny-styled", seed=-1, api_name="/generate")
