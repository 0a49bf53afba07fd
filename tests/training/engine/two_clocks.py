"""One of two processes of two trainings whose clocks differ; started by torchrun in a test.

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
    """The second process counts twice the time. After a training to the end of its time comes one
    of six steps, in which the second process is told to stop."""
    second, now, log = os.environ["RANK"] == "1", time.monotonic, []
    step, stop = Trainer._step, False

    def stepped(self: Trainer) -> dict:
        logs = step(self)
        log.append(f"{self.at.step} {logs['lr']}")
        self.asked = second and stop and self.at.step == 3
        return logs

    if second:
        time.monotonic = lambda: 2 * now()
    Trainer._step = stepped
    if code := main([*training, "--minutes", "0.02"]):
        return code  # and no list of steps is left
    (folder / f"steps-{os.environ['RANK']}").write_text("\n".join(log))
    stop = True
    return main([*training, "--steps", "6", "--fresh"])


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
