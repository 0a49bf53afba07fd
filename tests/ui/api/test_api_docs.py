"""The examples of docs/api.md, run against a page: Python as it stands, curl in a shell."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from var_spaces import RunSpec
from var_spaces.pictures import as_rgb, digest
from var_spaces.ui.app import build_app, main

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
# The page of the tests has other models than the reader's.
HERE = {"var-small": "tiny-styled", "red apple": "cat", "soft": "flat"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def here(text: str, url: str) -> str:
    for there, name in {**HERE, "http://127.0.0.1:7860": url.rstrip("/")}.items():
        text = text.replace(there, name)
    return text


@pytest.mark.parametrize("block", blocks("python"))
def test_python(block, served, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (20, 20), "red").save("apple.png")
    exec(compile(here(block, served), "docs/api.md", "exec"), {})
    said = capsys.readouterr().out
    if "source=picture" in block:
        source = as_rgb(Image.open("apple.png"))
        assert f"of the tokens agree in edits of {digest(source)}" in said
    elif "/edit" in block:
        assert "[0.2, 0.2, 0.8, 0.8] data:image/png;base64," in said
    elif "apple.png" in block:
        assert "done 4 scales" in said
        assert RunSpec.read_png(tmp_path / "apple.png").inputs == {"class": "cat", "style": "flat"}
    elif "/estimate" in block:
        assert "bytes, fits" in said
    else:
        assert "of the tokens agree" in said


@pytest.mark.skipif(not shutil.which("curl"), reason="No curl on this computer.")
@pytest.mark.parametrize("block", blocks("bash"))
def test_curl(block, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (20, 20), "red").save("apple.png")
    done = subprocess.run(
        ["bash", "-c", here(block, served)], capture_output=True, text=True, check=True, timeout=90
    )
    last = done.stdout.strip().rpartition("event: complete\ndata: ")[2]
    (state,) = json.loads(last)
    assert state["phase"] == "done"
    assert state["spec"]["seed"] == 7
    assert state["pictures"][0].startswith("data:image/png;base64,")


def test_the_names_in_the_examples_exist():
    card = json.loads((ROOT / "assets/models/var-small/card.json").read_text(encoding="utf-8"))
    assert "red apple" in card["classes"]
    assert "soft" in card["styles"]


def test_every_endpoint_is_documented(models):
    found = build_app().get_api_info()["named_endpoints"]
    documented = re.findall(r"^\| `(/\w+)`", PAGE, re.MULTILINE)
    assert sorted(found) == sorted(documented)


def test_agents_need_an_extra(monkeypatch, capsys):
    monkeypatch.setattr("var_spaces.ui.app.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        main(["--mcp"])
    assert 'pip install "gradio[mcp]"' in capsys.readouterr().err


@pytest.mark.skipif(
    not importlib.util.find_spec("mcp"), reason='Needs an extra: pip install "gradio[mcp]".'
)
def test_agents_find_the_endpoints_as_tools(models):
    from gradio.mcp import GradioMCPServer

    tools = GradioMCPServer(build_app()).tool_to_endpoint
    assert {"generate", "estimate", "models", "methods"} <= {name.split("_")[-1] for name in tools}
