"""The command line: ``python -m var_spaces COMMAND``.

Each command is one module with ``run(arguments)``; only the one that is asked for is imported.
Refusals are one ``error: ...`` line and exit code 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import var_spaces
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean

COMMANDS = {
    "models": "list the models that can be used",
    "methods": "list cache policies, decoding strategies, ... and their parameters",
    "generate": "make images and write them to a PNG file that carries its run spec",
    "show": "print the run spec inside a PNG file",
    "calibrate": "measure the attention of a model for calibrated cache policies",
    "convert": "write weights of a known layout as a model folder of safetensors",
    "estimate": "say what a run needs in memory, before it runs",
    "download": "fetch the weights of a published model",
    "manifest": "print keys, shapes and types of a model's weight file",
}
HELP = """usage: python -m var_spaces COMMAND ...

{commands}

'python -m var_spaces COMMAND --help' tells more about one of them.
Training has a command of its own: python -m var_spaces.training --help
""".format(commands="\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0 done, 2 refused, 130 stopped."""
    try:
        _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except VarSpacesError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return
    command, *rest = arguments
    if command == "--version":
        print(var_spaces.__version__)
        return
    if command not in COMMANDS:
        raise UnknownName(
            f"Unknown command '{command}'.{did_you_mean(command, COMMANDS)} "
            f"Commands: {', '.join(COMMANDS)}."
        )
    import_module(f"var_spaces.cli.{command}").run(rest)
