"""``python -m leaderboard verify``: run a part of a result again, compare, and keep the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.cli.run import show_progress
from leaderboard.cli.shown import say
from leaderboard.cli.submit import find
from leaderboard.store import open_store
from var_spaces.cli.arguments import Parser


def run(arguments: Sequence[str]) -> int:
    parser = Parser("verify", "Run a part of a result again.", program="leaderboard")
    parser.add_argument("id", help="of the result, or its beginning")
    parser.add_argument("--images", type=int, metavar="N", help="how many, by lot")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    options = parser.read(arguments)
    from leaderboard.submissions.verify import verify

    place = options.pop("store", None)
    verdict = verify(*find(options.pop("id"), place), progress=show_progress, **options)
    data = verdict.to_json().encode() + b"\n"
    open_store(place).update(verdict.path, lambda _: data, f"Verdict on {verdict.result}")
    seen = len(verdict.images)
    say(
        f"{verdict.verdict}: tokens of {verdict.equal_tokens} and pixels of "
        f"{verdict.equal_pixels} of {seen} images are the same; "
        f"{len(verdict.checks)} numbers compared. {verdict.reason}".strip()
    )
    return 1 if verdict.verdict == "mismatch" else 0
