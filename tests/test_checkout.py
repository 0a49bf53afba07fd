"""A commit is claimed only for what is in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from var_spaces.checkout import current_commit, is_clean
from var_spaces.record import Environment

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit with a policy file."""
    for name in ("var_spaces/cache/full.py", "leaderboard/results/a.json", "docs/a.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one\n")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def commit(root: Path) -> str:
    current_commit.cache_clear()
    return current_commit(root)


def test_a_clean_checkout_is_its_commit(checkout):
    said = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert commit(checkout) == said
    assert is_clean(said)
    (checkout / "docs/a.md").write_text("two\n")
    (checkout / "leaderboard/results/b.json").write_text("two\n")
    assert commit(checkout) == said  # nothing that runs was changed


@pytest.mark.parametrize("name", ["var_spaces/cache/full.py", "var_spaces/cache/mine.py"])
def test_an_uncommitted_policy_is_dirty(checkout, name):
    clean = commit(checkout)
    (checkout / name).write_text("two\n")
    first = commit(checkout)
    assert first.startswith(f"{clean}-dirty-") and len(first) == len(clean) + 15
    assert not is_clean(first)
    assert commit(checkout) == first  # the same difference
    (checkout / name).write_text("three\n")
    assert commit(checkout) not in (first, clean)
    subprocess.run(["git", "add", "-A"], cwd=checkout, check=True)
    assert not is_clean(commit(checkout))  # staged is not committed


def test_without_git_nothing_is_claimed(checkout, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert commit(checkout).endswith("-unchecked")
    assert not is_clean(commit(checkout))


def test_another_repository_of_the_environment_is_left_alone(checkout, monkeypatch, tmp_path):
    clean = commit(checkout)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert commit(checkout) == clean


def test_an_installed_package_has_no_commit(tmp_path):
    assert commit(tmp_path) is None
    assert is_clean(None)


def test_it_is_part_of_the_environment(monkeypatch):
    monkeypatch.setattr("var_spaces.record.current_commit", lambda: "a" * 40 + "-dirty-01234567")
    assert Environment.current("cpu", 1).commit == "a" * 40 + "-dirty-01234567"
