"""The page and its server for agents (MCP): bad arguments are refused, nothing else happens."""

from __future__ import annotations

import importlib.util
import json

import httpx
import pytest

from var_spaces.ui.queue import line

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("mcp"), reason='Needs an extra: pip install "gradio[mcp]".'
)
FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@pytest.fixture(scope="module")
def agents(only_tiny_models):
    """Address of the server for agents of a page of its own."""
    from var_spaces.ui.app import build_app, launch_options

    page = build_app()
    options = {**launch_options(), "server_name": "127.0.0.1"}
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, mcp_server=True, **options)
    yield f"{url}gradio_api/mcp/"
    page.close()


def asked(url: str, method: str, *, place: str = "127.0.0.1", **params) -> dict:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=place), timeout=120) as client:
        answer = client.post(url, headers=HEADERS, content=json.dumps(body))
    assert answer.status_code < 500
    lines = [x.removeprefix("data: ") for x in answer.text.splitlines() if x.startswith("data: ")]
    return json.loads(lines[-1] if lines else answer.text)


@pytest.fixture(scope="module")
def tools(agents) -> dict[str, str]:
    """Names of tools by endpoint."""
    listed = asked(agents, "tools/list")["result"]["tools"]
    return {tool["name"].split("_")[-1]: tool["name"] for tool in listed}


def said(url: str, tool: str, arguments: object) -> str:
    """Text of an answer that must be a refusal, of a tool or of the protocol."""
    answer = asked(url, "tools/call", name=tool, arguments=arguments)
    if "error" in answer:
        return json.dumps(answer["error"])
    assert answer["result"]["isError"]
    return json.dumps(answer["result"]["content"])


def test_a_tool_draws(agents, tools):
    answer = asked(
        agents, "tools/call", name=tools["generate"], arguments={"model": "tiny-styled", "seed": 1}
    )
    assert not answer["result"].get("isError")


def test_agents_are_counted_by_their_own_addresses(agents, tools, monkeypatch):
    """The server for agents asks the page for all of them, from this computer."""
    counted, real = [], line.address

    def address(request):
        counted.append(real(request))
        return counted[-1]

    monkeypatch.setattr(line, "address", address)
    arguments = {"model": "tiny-styled", "seed": 1}
    for place in ("127.0.0.2", "127.0.0.3"):
        counted.clear()
        answer = asked(
            agents, "tools/call", place=place, name=tools["generate"], arguments=arguments
        )
        assert not answer["result"].get("isError")
        assert set(counted) == {place}


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": "../../etc/passwd"},
        {"model": "tiny-styled", "seed": -1},
        {"model": "tiny-styled", "seed": "NaN"},
        {"model": "tiny-styled", "count": 10**30},
        {"model": "tiny-styled", "cache": {"name": "full"}},
        {"model": "tiny-styled", "class_": FILE},
        {"model": "tiny-styled", "style": ["x"] * 10_000},
        {"model": ["tiny-styled"]},
        [],
        "tiny-styled",
        None,
    ],
)
def test_hostile_arguments_are_refused(agents, tools, arguments):
    text = said(agents, tools["generate"], arguments)
    assert "Traceback" not in text and "root:" not in text and "site-packages" not in text


def test_other_tools_and_methods_do_not_exist(agents):
    assert "Traceback" not in said(agents, "os.system", {"command": "id"})
    assert "error" in asked(agents, "tools/run", name="x")


def test_a_file_of_the_server_is_no_picture(agents, tools):
    for source in (FILE, "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/a.png"):
        text = said(agents, tools["edit"], {"model": "tiny-var", "source": source})
        assert "root:" not in text and "Traceback" not in text
