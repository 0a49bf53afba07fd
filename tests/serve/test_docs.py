"""docs/scale.md: its commands are taken, its flags and links are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from var_spaces.remote import address
from var_spaces.serve.__main__ import _parser, main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_commands_are_taken():
    ours = [c[3:] for c in COMMANDS if c[:3] == ["python", "-m", "var_spaces.serve"]]
    assert ours
    for arguments in ours:
        assert _parser().read(arguments)["address"]


def test_every_flag_is_told(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    flags = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    assert flags and all(f"`{flag} " in PAGE for flag in flags)


def test_the_variable_is_an_address(monkeypatch):
    (text,) = {c[0].partition("=")[2] for c in COMMANDS if "=" in c[0]}
    monkeypatch.setenv("VAR_SPACES_ENGINE", text)
    assert address.address() == "HOST:6379"


def test_links():
    for link in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
