"""``python -m leaderboard COMMAND``."""

import sys

from leaderboard.cli import main

sys.exit(main())
