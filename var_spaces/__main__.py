"""``python -m var_spaces``."""

import sys

from var_spaces.cli import main

sys.exit(main())
