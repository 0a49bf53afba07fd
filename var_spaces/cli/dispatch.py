"""From the arguments of a program to the module of its command.

Each command is one module with ``run(arguments)``; only the one that is asked for is imported.
Refusals are one ``error: ...`` line and exit code 2.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

import var_spaces
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean, printable


def run_command(
    program: str,
    package: str,
    commands: Mapping[str, str],
    arguments: Sequence[str] | None,
    more: str = "",
) -> int:
    """Run a command of ``python -m <program>``.

    Args:
        package: where the modules of the commands are.
        commands: a line of help by name.
        arguments: None are those of this process.
        more: last line of the help.

    Returns:
        The exit code: 0 done, 2 refused, 130 stopped, or what the command returns.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    return reporting(lambda: _dispatch(program, package, commands, given, more))


def reporting(command: Callable[[], int | None]) -> int:
    """Run a program; its refusals become one line.

    Returns:
        As :func:`run_command`.
    """
    speak_anywhere()
    try:
        code = command()
        sys.stdout.flush()
    except VarSpacesError as error:
        print("error:", printable(" ".join(str(error).split())), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        place = str(error.filename)[:200]
        print("error:", printable(f"{place}: {error.strerror}."), file=sys.stderr)
        return 2
    return code or 0


def speak_anywhere() -> None:
    """Spell out what a console cannot show (one that is not UTF-8, a file name that is no text)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _dispatch(
    program: str, package: str, commands: Mapping[str, str], arguments: list[str], more: str
) -> int | None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        listed = "\n".join(f"  {name:<10} {text}" for name, text in commands.items())
        print(f"usage: python -m {program} COMMAND ...\n\n{listed}\n")
        print(f"'python -m {program} COMMAND --help' tells more about one of them.\n{more}".strip())
        return 0
    command, *rest = arguments
    if command == "--version":
        print(var_spaces.__version__)
        return 0
    if command not in commands:
        raise UnknownName(
            f"Unknown command '{command}'.{did_you_mean(command, commands)} "
            f"Commands: {', '.join(commands)}."
        )
    return import_module(f"{package}.{command}").run(rest)
