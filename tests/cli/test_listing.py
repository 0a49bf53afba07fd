"""Help, ``models`` and ``methods``."""

from __future__ import annotations

import json

import pytest

from var_spaces import methods
from var_spaces.cli import COMMANDS, main
from var_spaces.cli.arguments import Parser, add_method_flags
from var_spaces.methods import FLAG_PREFIXES
from var_spaces.spec import RunSpec


def test_help(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)
    assert run()[1] == out


def test_version(run):
    assert run("--version")[1].startswith("0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_commands(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"python -m var_spaces {command}" in capsys.readouterr().out


def test_models(run):
    code, out, _ = run("models")
    assert code == 0
    assert out.splitlines()[0].split() == ["MODEL", "ROLE", "FAMILY", "CLASSES", "STYLES", "TITLE"]
    assert ["tiny-var", "generator", "var", "3", "2"] in [
        line.split()[:5] for line in out.splitlines()
    ]
    cards = {card["id"]: card for card in json.loads(run("models", "--json")[1])}
    assert cards["tiny-var"]["classes"] == ["red apple", "key", "banana"]


def test_published_models_are_listed_on_request(run):
    assert "var-d16" not in run("models")[1]
    assert "var-d16" in run("models", "--all")[1]
    cards = {card["id"]: card for card in json.loads(run("models", "--all", "--json")[1])}
    assert cards["var-d16"]["source"]["repository"] == "FoundationVision/var"


def test_manifest(run):
    layout = json.loads(run("manifest", "tiny-var")[1])
    assert layout["head.weight"] == [[32, 32], "float32"]
    assert layout["lvl_1L"] == [[1, 21], "int64"]


def test_models_names_a_broken_card(run, tmp_path, monkeypatch):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "card.json").write_text("{")
    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path))
    code, _, err = run("models")
    assert code == 0
    assert err.startswith("warning: ")
    assert "card.json" in err


def test_methods(run):
    _, out, _ = run("methods")
    assert ["cache", "full"] in [line.split()[:2] for line in out.splitlines()]
    listed = json.loads(run("methods", "--json")[1])
    assert {entry["kind"] for entry in listed} == set(methods.kinds())
    _, out, _ = run("methods", "sampling")
    assert ["top-k-top-p", "top_k", "int", "900"] in [line.split()[:4] for line in out.splitlines()]
    described = json.loads(run("methods", "sampling", "--json")[1])
    by_name = {entry["name"]: entry for entry in described}
    assert by_name["top-k-top-p"]["parameters"]["top_k"]["default"] == 900


@pytest.mark.parametrize("kind", list(FLAG_PREFIXES))
def test_every_method_has_flags_that_clash_with_none(kind):
    """A new method whose field cannot be a flag, or takes another's name, fails here."""
    for name in methods.names(kind):
        parser = Parser("generate", "")
        for flag in ("spec", "model", "seed", "n", "first", "schedule", "out", "scale", "json"):
            parser.add_argument(f"--{flag}")
        for other, prefix in FLAG_PREFIXES.items():
            parser.add_argument(f"--{other}")
            chosen = name if other == kind else RunSpec.model_fields[other].default
            chosen = chosen if isinstance(chosen, str) else chosen["name"]
            add_method_flags(parser, methods.get(other, chosen), prefix)
        assert parser.format_help()
