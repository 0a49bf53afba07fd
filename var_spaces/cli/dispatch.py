"""From the arguments of a program to the module of its command.

Each command is one module with ``run(arguments)``; only the one that is asked for is imported.
Refusals are one ``error: ...`` line and exit code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import var_spaces
from var_spaces.console import reporting
from var_spaces.errors import UnknownName, did_you_mean


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
