"""The commit that this program runs from, and whether its files are those of the commit.

A commit stands for what a run did only if nothing was changed since: files that no commit holds are
told by a digest of the difference, ``<commit>-dirty-0123abcd``. Where git is not installed nobody
can tell, and that is told too: ``<commit>-unchecked``.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What decides how a run goes; results, docs and tests do not.
PARTS = ("var_spaces", "leaderboard", "assets", ":(exclude)leaderboard/results")
CLEAN = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@lru_cache(maxsize=8)
def current_commit(root: Path = ROOT) -> str | None:
    """The commit of a checkout as it was when this was first asked, None if there is none."""
    commit = _head(root / ".git")
    if commit is None:
        return None
    try:
        difference = _difference(root)
    except (OSError, subprocess.SubprocessError):
        return f"{commit}-unchecked"
    return f"{commit}-dirty-{difference}" if difference else commit


def is_clean(commit: str | None) -> bool:
    """Whether all that ran is in the commit, as far as it says; an installed package has none."""
    return commit is None or CLEAN.fullmatch(commit) is not None


def _head(git: Path) -> str | None:
    """The commit, read from the files of git."""
    try:
        shared = git
        if git.is_file():  # a worktree has a folder of its own inside the shared one
            git = (git.parent / git.read_text().removeprefix("gitdir: ").strip()).resolve()
            shared = git / (git / "commondir").read_text().strip()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (shared / name).is_file():
            return (shared / name).read_text().strip()
        for line in (shared / "packed-refs").read_text().splitlines():
            if line.endswith(f" {name}"):
                return line.split()[0]
    except OSError:
        pass
    return None


def _difference(root: Path) -> str:
    """8 hex digits that stand for all changes since the commit, "" if there are none."""
    changed = _git(root, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    if not changed and not new:
        return ""
    digest = hashlib.sha256(changed)
    for name in filter(None, new.split(b"\0")):
        digest.update(b"\0" + name + b"\0")
        path = root / os.fsdecode(name)
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _git(root: Path, *words: str) -> bytes:
    """What git says about the parts that count; settings of another repository are left out."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *words, "--", *PARTS]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, timeout=20, check=True
    )
    return done.stdout
