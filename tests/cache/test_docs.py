"""The example of docs/add_a_policy.md is a working policy from one file; the pages name all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from var_spaces import methods

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "add_a_policy.md").read_text(encoding="utf-8")


def test_the_example_policy_runs(tmp_path, use_tiny_models):
    example = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "coarse.py").write_text(example)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import coarse\n"
        "from var_spaces import stream\n"
        "from var_spaces.cli import main\n"
        "make = ['generate', '--model', 'tiny-var', '--out', sys.argv[1] + '/a.png']\n"
        "make += ['--cache', 'coarse-first']\n"
        "assert main([*make, '--cache-budget', '2']) == 2\n"
        "assert main([*make, '--cache-budget', '0.6', '--cache-scales', '1']) == 0\n"
        "cache, seen = {'name': 'coarse-first', 'budget': 0.6, 'scales': 1}, {}\n"
        "def observe(what, scale, tensor): seen[what, scale] = tensor\n"
        "list(stream(model='tiny-var', cache=cache, observe=observe))\n"
        "kept = seen['kept', 1]\n"
        "assert kept.shape[-1] == 5 and kept[..., 0].all() and kept.sum(-1).eq(3).all()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "budget = 2.0 is out of range" in done.stderr


def test_every_policy_is_on_the_page():
    page = (ROOT / "docs" / "cache.md").read_text(encoding="utf-8")
    for name in methods.names("cache"):
        assert f"`{name}`" in page, name


def test_files_that_the_pages_name_exist():
    for page in ("add_a_policy.md", "cache.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for name in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)", text):
            if name != "var_spaces/cache/coarse.py":
                assert any((ROOT / base / name).is_file() for base in ("", "var_spaces")), name
