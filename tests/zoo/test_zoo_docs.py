"""docs/zoo.md names commands, models and variables that exist, and all of them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from var_spaces import cli
from var_spaces.zoo.cards import known

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)[3:]
    for line in re.search(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1].splitlines()
]


def test_every_variable_has_its_row():
    text = "".join(p.read_text("utf-8") for p in (ROOT / "var_spaces" / "zoo").glob("*.py"))
    named = set(re.findall(r'"(VAR_SPACES_\w+|HF_\w+)"', text))
    rows = set(re.findall(r"`((?:VAR_SPACES|HF)_\w+)`", PAGE.partition("| variable |")[2]))
    assert named <= rows
    assert {name for name in rows if name.startswith("VAR_SPACES")} <= named


def test_every_published_model_is_named():
    for name, card in known().items():
        if card.source and not name.startswith(("code-", "infinity-tokenizer-")):
            assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_commands(command, capsys):
    """Those that need nothing run; the others get as far as the weights, which are not here."""
    fetching = command[0] in ("add", "download", "convert")
    if fetching:
        with pytest.raises(SystemExit):
            cli.main([command[0], "--help"])
        options = capsys.readouterr().out
        assert all(part in options for part in command if part.startswith("--"))
    else:
        assert cli.main(command) == 0
