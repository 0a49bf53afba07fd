"""Argument parsing whose refusals are ours, and flags made from the fields of method classes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.methods import Method, Option, cli_options

METAVARS = {int: "N", float: "X", str: "TEXT"}


class Parser(argparse.ArgumentParser):
    """An argument parser that raises :class:`VarSpacesError` and knows near misses of flags."""

    def __init__(self, command: str, description: str, add_help: bool = True) -> None:
        super().__init__(
            prog=f"python -m var_spaces {command}",
            description=description,
            allow_abbrev=False,
            add_help=add_help,
            argument_default=argparse.SUPPRESS,
        )

    def error(self, message: str) -> NoReturn:
        message = " ".join(message.split())
        short = message if len(message) <= 300 else message[:297] + "..."
        raise VarSpacesError(f"{short} (see {self.prog} --help)")

    def read(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Parse all arguments; flags that were not given are not in the result."""
        found, unknown = self.parse_known_args(arguments)
        if unknown:
            near = did_you_mean(unknown[0].split("=")[0], self._option_string_actions)
            self.error(f"unknown argument '{unknown[0]}'.{near}")
        return vars(found)


def add_method_flags(parser: Parser, cls: type[Method], prefix: str) -> dict[str, str]:
    """Add a flag per field of a method class.

    Args:
        prefix: put before the field's own flag, e.g. ``"cache"`` for ``--cache-budget``; may be "".

    Returns:
        Field name by destination in the result of :meth:`Parser.read`.
    """
    group = parser.add_argument_group(f"{cls.described_as()}: {cls.title}")
    fields = {}
    for option in cli_options(cls):
        flag = option.flag if not prefix else f"--{prefix}-{option.flag.removeprefix('--')}"
        dest = f"{cls.kind}:{option.field}"
        fields[dest] = option.field
        group.add_argument(flag, dest=dest, help=_help(option), **_settings(option))
    return fields


def _settings(option: Option) -> dict[str, Any]:
    if option.type is bool:
        return {"action": argparse.BooleanOptionalAction}
    if option.many:
        return {"type": _sequence_of(option.type), "metavar": "A,B,..."}
    if option.choices:
        return {"type": option.type, "choices": option.choices}
    return {"type": option.type, "metavar": METAVARS[option.type]}


def _sequence_of(kind: type) -> Any:
    def convert(text: str) -> list[Any]:
        return [kind(part) for part in text.split(",")]

    convert.__name__ = f"list of {kind.__name__}"  # argparse puts it into its message
    return convert


def _help(option: Option) -> str:
    notes = [str(option.range)] if str(option.range) else []
    if option.default is not None:
        notes.append(f"default {option.default}")
    text = f"{option.help} ({', '.join(notes)})" if notes else option.help
    return text.replace("%", "%%")
