"""What the README says works: its commands, its Python, its links and the front matter."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from var_spaces import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FRONT, TEXT = README.removeprefix("---\n").split("\n---\n", 1)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


COMMANDS = [
    shlex.split(line, comments=True)
    for block in blocks("bash")
    for line in block.splitlines()
    if line.strip()
]


def commands(*start: str) -> list[list[str]]:
    return [command[len(start) :] for command in COMMANDS if command[: len(start)] == [*start]]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, also when the tests themselves run under make."""
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=clean, capture_output=True, text=True, check=False
    )


def test_every_command_is_of_a_tested_kind():
    tested = (
        commands("make")
        + commands("python", "-m", "var_spaces")
        + commands("python", "-m", "var_spaces.training")
    )
    assert len(tested) == len(COMMANDS) > 8


def test_first_screen_has_the_two_commands():
    first = "\n".join(TEXT.splitlines()[:15])
    assert "make demo" in first
    assert "make test" in first


def test_library_commands_in_their_order(tmp_path, monkeypatch, capsys):
    """On the embedded models, in one folder, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    for command in commands("python", "-m", "var_spaces"):
        assert cli.main(command) == 0, (command, capsys.readouterr().err)
    assert {path.suffix for path in tmp_path.iterdir()} == {".png"}


@pytest.mark.parametrize("block", blocks("python"))
def test_python(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})


def test_training_commands_parse():
    from var_spaces.training.__main__ import parser

    for command in commands("python", "-m", "var_spaces.training"):
        options = parser().parse_args(command)
        if hasattr(options, "config"):
            config = ROOT / "var_spaces" / "training" / "configs" / f"{options.config}.toml"
            assert config.is_file()


@pytest.mark.parametrize("target", ["demo", "test", "lint", "format", "bench"])
def test_make_targets_need_nothing_but_python(target, tmp_path):
    """A dry run on a fresh clone: environment first, from the requirements files."""
    plan = make("-n", f"VENV={tmp_path}/venv", target).stdout
    assert f"-m venv {tmp_path}/venv" in plan
    assert "-r requirements.txt" in plan
    assert ("-r requirements-dev.txt" in plan) == (target in ("test", "lint", "format"))
    if target == "demo":
        assert plan.rstrip().endswith("app.py")


def test_make_commands_of_the_readme_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {command[0] for command in commands("make")} <= targets


def test_make_says_when_python_is_too_old(tmp_path):
    """The check runs before anything is made."""
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\necho "Python 3.11 or newer is needed, this is 3.8" >&2\nexit 1\n')
    old.chmod(0o755)
    done = make(f"VENV={tmp_path}/venv", f"PYTHON={old}", "demo")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if not link.startswith(("http://", "https://")):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_space_front_matter():
    fields = dict(re.findall(r"^(\w+): (.+)$", FRONT, re.MULTILINE))
    assert fields["sdk"] == "gradio"
    assert fields["app_file"] == "app.py"
    assert fields["python_version"] == '"3.12"'
    assert fields["license"] == "apache-2.0"
    assert len(fields["short_description"]) <= 60
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {fields["colorFrom"], fields["colorTo"]} <= colours
    wanted = re.search(r"gradio>=([\d.]+),<(\d+)", (ROOT / "requirements.txt").read_text())
    version = tuple(map(int, fields["sdk_version"].split(".")))
    assert tuple(map(int, wanted[1].split("."))) <= version < (int(wanted[2]),)
