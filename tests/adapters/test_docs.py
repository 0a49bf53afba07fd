"""docs/add_an_adapter.md, followed literally: its file, folder and command draw a picture."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from var_spaces import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "add_an_adapter.md").read_text(encoding="utf-8")
FILE, FOLDER = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(COMMAND,) = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_is_followed(tmp_path):
    (tmp_path / "learned_style.py").write_text(FILE, encoding="utf-8")
    command = COMMAND.strip().removeprefix("python -m var_spaces ")
    code = (
        f"import os, shlex, sys; sys.path[:0] = [{str(ROOT)!r}, '.']\n"
        f"{FOLDER}"
        "os.environ['VAR_SPACES_MODELS'] = '.'\n"
        "from var_spaces.cli import main\n"
        f"words = shlex.split({command!r})\n"
        "assert main(words) == 0\n"
        "plain = [*words[:2], 't2i-bit', *words[3:-1], 'plain.png']\n"
        "assert main(plain) == 0\n"
        "h2o = ['--cache', 'h2o', '--cache-budget', '0.3']\n"
        "assert main([*words[:-1], 'few.png', *h2o]) == 0\n"
        "assert main(['models']) == 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "my-style" in done.stdout
    styled, plain, few = (
        Image.open(tmp_path / f"{name}.png").tobytes() for name in ("styled", "plain", "few")
    )
    assert len({styled, plain, few}) == 3


def test_files_and_names_that_the_page_mentions_exist():
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)", PAGE):
        assert any((ROOT / base / name).is_file() for base in ("", "var_spaces")), name
    toys = (ROOT / "tests" / "adapters" / "toys.py").read_text(encoding="utf-8")
    for name in ("Front", "Prefix", "Pooled", "Reference", "Steered", "ToyPrepared", "Toy"):
        assert f"`{name}`" in PAGE or f": {name}`" in PAGE
        assert f"class {name}(" in toys
    assert cli.main(["methods", "guidance"]) == 0
