"""docs/edit.md: its commands run with a tiny editor, its numbers are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
from PIL import Image

from tests.varedit import write_editor
from var_spaces import cli
from var_spaces.evaluators.edits import LIMIT, read_pairs
from var_spaces.pictures import MAX_RATIO
from var_spaces.training.data.edits import SPLITS
from var_spaces.training.data.instructions import WORDINGS
from var_spaces.training.data.operations import OPERATIONS
from var_spaces.zoo.cards import known

PAGE = (Path(__file__).parents[1] / "docs" / "edit.md").read_text("utf-8")


def test_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(write_editor(tmp_path / "models")))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((12, 9, 3), np.uint8)).save("apple.png")
    block = re.search(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    for line in block.replace("edit-bit", "tiny-edit").splitlines():
        assert cli.main(shlex.split(line)[3:]) == 0, (line, capsys.readouterr().err)
    assert Image.open("blue.png").size == Image.open("steps.png").size == (9, 12)
    again = "generate --spec steps.png --picture steps-1.png --out again.png"
    assert cli.main(shlex.split(again)) == 0
    assert Path("again.png").read_bytes() == Path("steps.png").read_bytes()


def test_python(capsys):
    exec(re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1], {})
    assert capsys.readouterr().out.strip()


def test_numbers():
    assert f"up to {MAX_RATIO} times as long" in PAGE
    assert f"holds {len(read_pairs())} frozen pairs: eleven operations" in PAGE
    assert len(OPERATIONS) + 1 == 11 and len(SPLITS) == 3
    assert min(map(len, WORDINGS.values())) >= 6 and "six wordings" in PAGE.replace("\n", " ")
    assert f"at most {LIMIT:.0f} dB per picture" in PAGE
    for name in re.findall(r"`(varedit-[\w-]+)`", PAGE):
        assert known("generator")[name].adapter["name"] == "scale-aligned-reference"
