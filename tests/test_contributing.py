"""CONTRIBUTING.md is right, and what is added is on a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from var_spaces import methods

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))


def test_files_and_links_exist():
    named = re.findall(r"`((?:[a-z_]+/)+[\w.-]+\.(?:py|json))", PAGE)
    linked = re.findall(r"\]\(([^)#]+)", PAGE)
    assert len(named) > 10
    for name in (*named, *linked):
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("kind", ["decoding", "guidance", "sampling", "adapter", "suite", "reward"])
def test_every_method_is_on_a_page(kind):
    shipped = [e.name for e in methods.entries(kind) if not e.target.startswith("tests.")]
    missing = [name for name in shipped if not re.search(rf"[` ]{name}[` ]", PAGES)]
    assert not missing, f"name {', '.join(missing)} in a page of docs/"


def test_it_is_one_page():
    assert len(PAGE.splitlines()) < 60
