"""A disk that fills up while a picture is written: one line, and what was there stays whole."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from var_spaces import cli


@pytest.mark.parametrize("more", [(), ("--kept", "kept.png")])
def test_a_picture_is_written_whole_or_not_at_all(
    use_tiny_models, tmp_path, monkeypatch, capsys, more
):
    monkeypatch.chdir(tmp_path)
    command = ["generate", "--model", "tiny-var", "--class", "key", "--out", "a.png", *more]
    assert cli.main(command) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    capsys.readouterr()
    assert cli.main([*command, "--seed", "5"]) == 2
    error = capsys.readouterr().err
    assert error == "error: Cannot write a.png: No space left on device.\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
