"""Argument parsing whose refusals are ours, and flags made from the fields of method classes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from var_spaces import methods
from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.methods import Method, Option, cli_options
from var_spaces.spec import RunSpec

METAVARS = {int: "N", float: "X", str: "TEXT"}


class Parser(argparse.ArgumentParser):
    """An argument parser that raises :class:`VarSpacesError` and knows near misses of flags."""

    def __init__(
        self, command: str, description: str, add_help: bool = True, program: str = "var_spaces"
    ) -> None:
        super().__init__(
            prog=f"python -m {program} {command}",
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
    """Add a flag per field of a method class; that of its first picture is ``--picture``, too.

    Args:
        prefix: put before the field's own flag, e.g. ``"cache"`` for ``--cache-budget``; may be "".

    Returns:
        Field name by destination in the result of :meth:`Parser.read`.
    """
    group = parser.add_argument_group(f"{cls.described_as()}: {cls.title}")
    fields, options = {}, cli_options(cls)
    for option in options:
        flags = _flags(options, option)
        if prefix:
            flags = [f"--{prefix}-{flag.removeprefix('--')}" for flag in flags]
        dest = f"{cls.kind}:{option.field}"
        fields[dest] = option.field
        settings = _settings(option)
        if option.field == getattr(cls, "step", ""):
            settings["action"] = "append"
        group.add_argument(*flags, dest=dest, help=_help(option), **settings)
    return fields


def usage(cls: type[Method], field: str) -> str:
    """How a field of a method without a prefix is given: ``--picture FILE``."""
    options = cli_options(cls)
    option = next(option for option in options if option.field == field)
    return f"{_flags(options, option)[0]} {_settings(option).get('metavar', '')}".strip()


def _flags(options: Sequence[Option], option: Option) -> list[str]:
    """Flags of one of the fields of a method; the first is the usual one."""
    pictures = (each.field for each in options if each.content == "picture")
    first = option.field == next(pictures, None)
    return list(dict.fromkeys(["--picture", option.flag])) if first else [option.flag]


def add_choices(parser: Parser, kinds: Iterable[str]) -> None:
    """Add ``--model`` and a flag per kind that names a method."""
    parser.add_argument("--model", metavar="ID", help="see: python -m var_spaces models")
    for kind in kinds:
        listed = ", ".join(methods.names(kind))
        parser.add_argument(f"--{kind}", metavar="NAME", help=f"{kind} method: {listed}")


def chosen(
    options: Mapping[str, Any], before: Mapping[str, Any], kinds: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """The method of every kind: that of ``options``, else of ``before``, else of every run spec.

    Parameters of ``before`` stay where the method does.
    """
    found = {}
    for kind in kinds:
        default = RunSpec.model_fields[kind].default
        held = before.get(kind, {})
        pick = options.get(kind, before.get(kind, default))
        name = pick if isinstance(pick, str) else pick.get("name", _name(default))
        same = isinstance(held, Mapping) and held.get("name", name) == name
        found[kind] = {**(held if same else {}), "name": name}
    return found


def with_flags(
    parts: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Methods by kind, with the parameters that flags gave."""
    return {
        kind: {
            **method,
            **{k.partition(":")[2]: v for k, v in options.items() if k.startswith(f"{kind}:")},
        }
        for kind, method in parts.items()
    }


def _name(default: str | Mapping[str, Any]) -> str:
    return default if isinstance(default, str) else default["name"]


def _settings(option: Option) -> dict[str, Any]:
    if option.content in methods.PICTURES:
        return {"metavar": "FILE"}
    if option.type is bool:
        return {"action": argparse.BooleanOptionalAction}
    if option.many:
        return {"type": _sequence_of(option.type), "metavar": "A,B,..."}
    if option.choices:
        return {"type": option.type, "choices": option.choices}
    return {"type": option.type, "metavar": METAVARS[option.type]}


def _sequence_of(kind: type) -> Any:
    def convert(text: str) -> list[Any]:
        return [kind(part) for part in text.split(",")] if text else []

    convert.__name__ = f"list of {kind.__name__}"  # argparse puts it into its message
    return convert


def _help(option: Option) -> str:
    notes = [str(option.range)] if str(option.range) else []
    if option.default is not None:
        notes.append(f"default {option.default}")
    text = f"{option.help} ({', '.join(notes)})" if notes else option.help
    if option.content in methods.PICTURES:
        text = text.removeprefix("content hash of ")
    return text.replace("%", "%%")
