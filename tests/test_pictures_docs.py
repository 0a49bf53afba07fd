"""docs/pictures.md: its commands run in their order, its numbers are those of the reader."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from var_spaces import cli, codecs, pictures
from var_spaces.training.images.scan import LIMITS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "pictures.md").read_text("utf-8")


def test_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (block,) = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        assert cli.main(shlex.split(line)[3:]) == 0, (line, capsys.readouterr().err)
    assert (tmp_path / "another.png").is_file()


def test_numbers():
    usual = pictures.USUAL
    assert f"at most {usual.file_bytes >> 20} MiB of file ({LIMITS.file_bytes >> 20} MiB" in PAGE
    assert (usual.pixels, LIMITS.pixels) == (4096 * 4096, 64_000_000)
    for number in (usual.side, codecs.MAX_PNG_CHUNKS, pictures.MAX_SCANS):
        assert f"{number:,}" in PAGE
    assert PAGE.count(", ".join(pictures.FORMATS[:3])) == 1
