"""Run commands in this process, with tiny models."""

from __future__ import annotations

import pytest

from var_spaces.cli import main


@pytest.fixture(autouse=True)
def _tiny_models(use_tiny_models):
    """Every test here knows ``tiny-var``."""


@pytest.fixture
def run(capsys):
    """Run a command in this process: exit code, standard output, standard error."""

    def call(*arguments) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def refused(run):
    """Run a command that must be refused with one line; returns that line."""

    def call(*arguments) -> str:
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert len(err) < 500
        return err

    return call


@pytest.fixture
def key_command():
    """Arguments that draw a key of ``tiny-var`` into a file."""

    def arguments(out, *more) -> tuple:
        return ("generate", "--model", "tiny-var", "--class", "key", "--out", out, *more)

    return arguments
