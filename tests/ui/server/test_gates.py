"""What stands in front of gradio, as a page is served."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest
from gradio.data_classes import ImageData
from gradio.utils import get_upload_folder
from hypothesis import given
from hypothesis import strategies as st

from tests.coroutines import finished
from var_spaces.errors import VarSpacesError
from var_spaces.ui.queue.limits import MIB, Limits
from var_spaces.ui.server import sites, uploads
from var_spaces.ui.server.files import NO_UPLOAD, misplaced
from var_spaces.ui.server.port import port
from var_spaces.ui.server.sites import OwnSite
from var_spaces.ui.server.uploads import UploadTotals

CHANGES = ("queue/join", "call/v2/models", "run/models", "cancel", "upload", "component_server")
SECRETS = ("Traceback", "Internal Server Error")


# --- other sites ----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", CHANGES)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_another_site_changes_nothing(served, place, origin):
    headers = {"origin": origin, "sec-fetch-site": "cross-site"}
    answer = httpx.post(f"{served}gradio_api/{place}", json={}, headers=headers, timeout=60)
    assert answer.status_code == 403
    assert "comes from another site" in answer.text


def test_the_page_itself_and_programs_are_heard(served):
    own = {"origin": served.rstrip("/"), "sec-fetch-site": "same-origin"}
    for headers in (own, {}, {"origin": served.rstrip("/")}):
        address = f"{served}gradio_api/call/v2/models"
        assert httpx.post(address, json={}, headers=headers, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"origin": "https://page.example", "host": "page.example"}, True),
        ({"origin": "https://page.example", "host": "127.0.0.1:7860"}, False),
        ({"origin": "https://page.example", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://friend.example", "sec-fetch-site": "cross-site"}, True),
        ({"origin": "https://friend.example.evil.example"}, False),
        ({"origin": "https://a-b.hf.space"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "http://[::1", "host": "[::1"}, False),
        ({"origin": "https://evil.example", "x-forwarded-host": "evil.example"}, False),
    ],
)
def test_who_may_change_something(headers, taken, monkeypatch):
    monkeypatch.setenv(sites.VARIABLE, "https://friend.example")
    monkeypatch.setenv("SPACE_HOST", "a-b.hf.space")
    assert OwnSite(None).takes(headers) is taken


@pytest.mark.parametrize("text", ["example.org", "https://a.example/path", "*", "javascript:1"])
def test_a_friend_is_an_origin(text, monkeypatch):
    monkeypatch.setenv(sites.VARIABLE, text)
    with pytest.raises(VarSpacesError, match="origins like"):
        OwnSite(None)


@pytest.mark.parametrize("place", ["", "health", "config", "gradio_api/info", "theme.css"])
def test_every_answer_tells_browsers_to_be_careful(served, place):
    headers = httpx.get(served + place, timeout=60).headers
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'self' https://huggingface.co" in policy


# --- what is closed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "gradio_api/deep_link?session_hash=s",
        "gradio_api/proxy=http://127.0.0.1:1/",
        "gradio_api/run-history/records",
        "gradio_api/runs",
        "gradio_api/stream/abc",
        "gradio_api/custom_component/1/client/component/index.js",
        "monitoring",
        "monitoring/summary",
        "pwa_icon/512",
    ],
)
def test_what_the_page_does_not_use_is_closed(served, place):
    for method in ("GET", "POST"):
        assert httpx.request(method, served + place, timeout=60).status_code == 404


def test_files_of_other_servers_are_not_fetched(served):
    for address in ("http://127.0.0.1:1/x", "https://example.org/x"):
        answer = httpx.get(f"{served}gradio_api/file={address}", timeout=60)
        assert answer.status_code == 403


# --- uploads --------------------------------------------------------------------------------------


def test_an_upload_is_told_by_a_name_of_outside(served):
    answer = httpx.post(f"{served}gradio_api/upload", files={"files": ("a.png", b"x")}, timeout=60)
    (path,) = answer.json()
    assert path.startswith("/uploads/")
    assert path.endswith("/a.png")
    assert get_upload_folder() not in answer.text
    found = httpx.get(f"{served}gradio_api/file={path}", timeout=60)
    assert (found.status_code, found.content) == (200, b"x")
    outside = httpx.get(f"{served}gradio_api/file=/uploads/../../etc/passwd", timeout=60)
    assert outside.status_code in (400, 403, 404)


def totals(**limits: int) -> UploadTotals:
    return UploadTotals(None, Limits(**limits), clock=lambda: 0.0)


def test_uploads_have_totals(monkeypatch):
    monkeypatch.setattr(uploads, "upload_bytes", lambda _: 3 * MIB)
    check = totals(max_upload_mb=2, max_uploads_mb=8, max_uploads_mb_per_hour=4)
    finished(check.count(()))
    assert check.refusal("a", str(3 * MIB))[0] == 413
    assert check.refusal("a", "")[0] == 411
    assert check.refusal("a", "-1")[0] == 411
    assert check.refusal("a", str(2 * MIB)) is None
    assert check.refusal("a", str(2 * MIB)) is None
    assert check.refusal("a", str(MIB))[0] == 429
    assert check.refusal("b", str(2 * MIB))[0] == 507
    assert check.refusal("b", str(MIB)) is None


def form(files: int, line: bytes = b"--x") -> bytes:
    part = line + b'\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\ny\r\n'
    return part * files + line + b"--\r\n"


@given(st.integers(0, 30), st.integers(1, 400))
def test_files_of_a_form_are_counted_in_whatever_pieces_it_comes(number, size):
    counted, body = uploads.Files("multipart/form-data; boundary=x"), form(number)
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    assert [n for piece in pieces for n in counted.begun(piece)] == list(range(1, number + 1))


@pytest.mark.parametrize("kind", ["", "multipart/form-data", "text/plain; boundary=x"])
def test_an_upload_is_a_form(served, kind):
    address, headers = f"{served}gradio_api/upload", {"content-type": kind}
    answer = httpx.post(address, content=form(1), headers=headers, timeout=60)
    assert (answer.status_code, answer.text) == (400, uploads.NO_FORM)


def test_a_form_holds_few_files(served):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    address = f"{served}gradio_api/upload"
    for files, status in ((uploads.MOST_FILES, 200), (uploads.MOST_FILES + 1, 413)):
        answer = httpx.post(address, content=form(files), headers=headers, timeout=60)
        assert answer.status_code == status
    assert f"At most {uploads.MOST_FILES} files" in answer.text


def test_small_files_count_for_what_they_take(monkeypatch):
    check = totals(max_uploads_mb=1, max_uploads_mb_per_hour=1000)
    assert all(check.another("a", number) is None for number in range(1, 17))
    assert check.another("a", 1)[0] == 507
    hourly = totals(max_uploads_mb=1000, max_uploads_mb_per_hour=1)
    assert all(hourly.another("a", number) is None for number in range(1, 17))
    assert hourly.another("a", 1)[0] == 429


def test_nobody_follows_an_upload(served):
    """Gradio would keep the name for ever."""
    answer = httpx.get(f"{served}gradio_api/upload_progress?upload_id=abc", timeout=60)
    assert answer.text == 'data: {"msg": "done"}\n\n'


@pytest.mark.parametrize("name", ["session_hash", "upload_id"])
def test_names_that_a_client_makes_up_are_short(served, name):
    for path in ("queue/data", "upload_progress"):
        address = f"{served}gradio_api/{path}?{name}={'z' * 65}"
        assert httpx.get(address, timeout=60).status_code == 422
    assert httpx.get(f"{served}gradio_api/heartbeat/{'z' * 65}", timeout=60).status_code == 422


@pytest.mark.parametrize("place", ["queue/join", "run/predict", "call/models", "call/v2/models"])
def test_a_session_has_a_short_name(served, place):
    body = {"data": [], "fn_index": 0, "session_hash": "z" * 5000}
    answer = httpx.post(f"{served}gradio_api/{place}", json=body, timeout=60)
    assert answer.status_code == 422
    assert "at most 64 characters" in answer.text


def test_an_upload_without_a_length_is_not_read(served):
    def pieces():
        yield b"--x\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    address = f"{served}gradio_api/upload"
    assert httpx.post(address, content=pieces(), headers=headers, timeout=60).status_code == 411


def test_an_upload_in_chunks_is_not_read_whatever_length_it_says():
    names = ((b"content-length", b"10"), (b"transfer-encoding", b"chunked"))
    scope = {"type": "http", "method": "POST", "path": uploads.UPLOAD, "headers": names}
    sent = []

    async def send(message):
        sent.append(message)

    app = SimpleNamespace(get_blocks=lambda: SimpleNamespace(upload_file_set=set()))
    asked = totals()({**scope, "app": app, "client": ("10.0.0.1", 1)}, None, send)
    finished(asked)
    assert sent[0]["status"] == 411


# --- requests of programs -------------------------------------------------------------------------


def call(url: str, name: str, body: object) -> httpx.Response:
    return httpx.post(f"{url}gradio_api/call/v2/{name}", json=body, timeout=60)


@pytest.mark.parametrize(
    ("name", "body", "status", "said"),
    [
        ("models", {"foo": 1}, 422, "no parameter 'foo'"),
        ("generate", {"model": "tiny-styled", "claas": "cat"}, 422, "Parameters: model"),
        ("estimate", {}, 422, "/estimate needs run"),
        ("generat", {}, 404, "Did you mean 'generate'?"),
        ("models", [1], 422, "one JSON object"),
        ("estimate", "text", 422, "one JSON object"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_in_one_line(served, name, body, status, said):
    answer = call(served, name, body)
    assert answer.status_code == status
    assert said in answer.text
    assert not any(secret in answer.text for secret in SECRETS)


def test_a_stream_that_does_not_exist_is_not_found(served):
    for path in ("call/generate/none", "call/v2/generate/none"):
        assert httpx.get(f"{served}gradio_api/{path}", timeout=60).status_code == 404


FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("generate", {"model": FILE}),
        ("generate", {"model": "tiny-styled", "class_": FILE}),
        ("generate", {"model": "tiny-styled", "class_": [[FILE]]}),
        ("generate", {"model": "tiny-styled", "seed": {"a": FILE}}),
        ("estimate", {"run": FILE}),
        ("compare", {"runs": [FILE, FILE]}),
        ("leaderboard", {"suite": FILE}),
    ],
    ids=str,
)
def test_a_file_is_no_text(served, name, body):
    answer = call(served, name, body)
    assert answer.status_code == 422
    assert "A file was given where a text or a number is asked for." in answer.text


PICTURES = {
    "text": "x",
    "number": 5,
    "list": [1],
    "truth": True,
    "inside the request": "data:image/png;base64,xx",
    "file of the server": FILE,
    "beside the uploads": {**FILE, "path": "/uploads/../../etc/passwd"},
    "another server": {**FILE, "path": "http://127.0.0.1:1/x", "url": "http://127.0.0.1:1/x"},
    "no path": {**FILE, "path": 5},
    "null byte": {**FILE, "path": "/uploads/a\0b"},
}


@pytest.mark.parametrize("given", PICTURES.values(), ids=PICTURES)
def test_a_picture_is_an_upload(served, given):
    run = {"model": "tiny-styled", "inputs": {"class": "cat"}}
    for name, body in (
        ("edit", {"model": "tiny-styled", "source": given}),
        ("edit", {"model": "tiny-styled", "source": None, "mask": given}),
        ("compare", {"runs": [run, run], "source": given}),
    ):
        answer = call(served, name, body)
        assert (answer.status_code, answer.json()) == (422, {"detail": NO_UPLOAD})


def test_what_is_done_at_once_takes_no_foreign_file_either(page_of):
    quick = next(n for n, f in page_of.fns.items() if f.fn and not f.queue and f.inputs)
    body = {"data": [FILE] * len(page_of.fns[quick].inputs), "fn_index": quick}
    answer = httpx.post(f"{page_of.local_url}gradio_api/run/predict", json=body, timeout=60)
    assert answer.status_code == 422


def test_an_address_is_no_path(monkeypatch, tmp_path):
    """Whatever it would be as one."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    image = [SimpleNamespace(data_model=ImageData)]
    for path, refused in (("a.png", None), (None, None), ("http://127.0.0.1:1/x", NO_UPLOAD)):
        assert misplaced(image, [{**FILE, "path": path}]) == refused


# --- the port -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["nonsense", "0", "-1", "65536", "78.6", "²"])
def test_a_port_is_a_number(text, monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_PORT", text)
    with pytest.raises(VarSpacesError, match="whole number from 1 to 65535"):
        port()


def test_a_page_does_not_move_quietly(served, monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_PORT", served.rstrip("/").rpartition(":")[2])
    with pytest.raises(VarSpacesError, match=r"Port \d+ cannot be used"):
        port()
    monkeypatch.setenv("GRADIO_SERVER_PORT", "")
    assert port() is None
