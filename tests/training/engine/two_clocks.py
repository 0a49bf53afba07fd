"""One of two processes of a training whose clocks differ; started by torchrun in a test.

python -m tests.training.engine.two_clocks FOLDER TRAINING...
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from var_spaces.training.__main__ import main
from var_spaces.training.engine.trainer import Trainer


def run(folder: Path, training: list[str]) -> int:
    """The second process counts twice the time, and is told to stop if the folder says so."""
    second, now, log = os.environ["RANK"] == "1", time.monotonic, []
    step = Trainer._step

    def stepped(self: Trainer) -> dict:
        logs = step(self)
        log.append(f"{self.at.step} {logs['lr']}")
        self.asked = second and (folder / "stop").exists() and self.at.step == 3
        return logs

    if second:
        time.monotonic = lambda: 2 * now()
    Trainer._step = stepped
    code = main(training)
    (folder / f"steps-{os.environ['RANK']}").write_text("\n".join(log))
    return code


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
