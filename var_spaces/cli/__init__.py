"""The command line: ``python -m var_spaces COMMAND``."""

from __future__ import annotations

from collections.abc import Sequence

from var_spaces.cli.dispatch import run_command

COMMANDS = {
    "models": "list the models that can be used",
    "methods": "list cache policies, decoding strategies, ... and their parameters",
    "generate": "make images and write them to a PNG file that carries its run spec",
    "control": "take a control map (edges, a sketch, tones, ...) from a picture",
    "show": "print the run spec inside a PNG file",
    "calibrate": "measure the attention of a model for calibrated cache policies",
    "convert": "write weights of a known layout as a model folder of safetensors",
    "estimate": "say what a run needs in memory, before it runs",
    "add": "make a model known by its card: a file, or a repository on the Hub",
    "download": "fetch the weights of a published model",
    "manifest": "print keys, shapes and types of a model's weight file",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0 done, 2 refused, 130 stopped."""
    more = "Training has a command of its own: python -m var_spaces.training --help"
    return run_command("var_spaces", "var_spaces.cli", COMMANDS, arguments, more)
