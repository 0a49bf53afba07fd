"""``python -m leaderboard learn``: a model that learned every picture of a suite of styles.

Repeating a command continues what was interrupted.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from leaderboard.cli.run import show_progress
from leaderboard.learned import WORK, learn, words_of
from leaderboard.suites.base import get_suite
from var_spaces.cli.arguments import Parser
from var_spaces.training import personal
from var_spaces.training.styles.command import SETTINGS, STARTS, settings_of


def run(arguments: Sequence[str]) -> None:
    parser = Parser("learn", "Learn every picture of a suite of styles.", program="leaderboard")
    parser.add_argument("--suite", metavar="NAME", help="default embedded-style, or csd-100")
    personal.add_flags(parser, STARTS, SETTINGS)
    parser.add_argument("--all-scales", action="store_true", help="no scales of style or content")
    given = parser.read(arguments)
    args = Namespace(
        **{**dict.fromkeys(SETTINGS), "all_scales": False, "start": "embedded", **given}
    )
    suite, settings = get_suite(given.get("suite", "embedded-style")), settings_of(args)
    words_of(suite)
    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.new_folder import check_new

    card = get_card(given.get("base", "t2i-bit"), "generator")
    check_new(args.out, given.get("replace", False))
    with personal.leased(card, given.get("device")) as base:
        progress = (lambda *_: None) if given.get("quiet") else show_progress
        learn(suite, base, settings, args.out, WORK, progress)
    if not given.get("quiet"):
        folder = args.out.parent
        print(
            f"{args.out}: rank it with VAR_SPACES_MODELS={folder} in the environment:\n"
            f"  python -m leaderboard run --suite {suite.name} --model {args.out.name}"
        )
