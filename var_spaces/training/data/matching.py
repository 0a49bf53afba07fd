"""Which icon of a set shows which concept, and which concepts make the core list.

A concept is one Unicode emoji without skin tone, flag or component, known by its code points.
Sets name their icons each in their own way, so an icon is found by the first of six rules that
gives one: the set's own table of characters, the label as a slug, the set's aliases, a slug that
another set uses for the same character, the Unicode name, and the last three without any hyphen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

CORE_GROUPS = ("animals-nature", "food-drink", "travel-places", "activities", "objects")
_DROPPED_WORDS = ("face", "moon", "clock", "button", "folder", "sign")
_DROPPED_SUBGROUPS = (
    "time", "office", "writing", "mail", "book-paper", "money", "light-video",
)  # fmt: skip
CORE_MEMBERSHIP = 7  # of nine sets
CORE_WORDS = 2


@dataclass(frozen=True)
class Entry:
    """A concept before its icons are known: ``hex`` such as ``"1f34e"``, lower case, no FE0F."""

    hex: str
    name: str
    group: str
    subgroup: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class IconSet:
    """One set: ``icons`` as published, ``aliases`` (name -> name), ``chars`` (hex -> name).

    ``frame`` is the set's default (left, top, width, height); an icon may override each of them.
    """

    icons: dict
    aliases: dict[str, str]
    chars: dict[str, str]
    frame: tuple[float, float, float, float]

    def resolve(self, name: str | None) -> str | None:
        """The icon that ``name`` stands for in this set, or None. Mirrored aliases do not count."""
        if name is None or name in self.icons:
            return name
        return self.aliases.get(name)

    def svg(self, name: str, ink: str) -> str:
        """A complete SVG document of one icon; ``ink`` colours what is drawn in currentColor."""
        icon = self.icons[name]
        keys = ("left", "top", "width", "height")
        box = " ".join(
            str(icon.get(key, default)) for key, default in zip(keys, self.frame, strict=True)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'width="64" height="64" viewBox="{box}" color="{ink}">{icon["body"]}</svg>'
        )


def slug(label: str) -> str:
    """``"Tokyo Tower"`` -> ``"tokyo-tower"``: ASCII letters and digits joined by hyphens."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    plain = plain.replace("'", "")
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def plain_hex(code: str) -> str:
    """Code points in lower case, without the emoji presentation selector."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def read_entries(data: list[dict], hierarchy: dict, keywords: dict[str, list[str]]) -> list[Entry]:
    """Concepts of emojibase ``data`` in its own order; tags joined with emojilib ``keywords``."""
    extra = {_char_hex(char): words for char, words in keywords.items()}
    entries = []
    for item in data:
        group = hierarchy["groups"].get(str(item.get("group")))
        if group in (None, "component", "flags"):
            continue
        code = plain_hex(item["hexcode"])
        name = item["label"].replace("\u2019", "'")
        spoken = (word.replace("_", " ").lower() for word in extra.get(code, []))
        tags = [tag.lower() for tag in item.get("tags", [])] + list(spoken)
        subgroup = hierarchy["subgroups"][str(item["subgroup"])]
        entries.append(Entry(code, name, group, subgroup, _clean_tags(name, tags)))
    return entries


def _char_hex(char: str) -> str:
    return plain_hex("-".join(f"{ord(point):x}" for point in char))


def _clean_tags(name: str, tags: Iterable[str]) -> tuple[str, ...]:
    """Words a person may type for the concept: once each, not the name itself, no emoticons."""
    kept = dict.fromkeys(tag.replace("\u2019", "'").strip() for tag in tags)
    return tuple(t for t in kept if t != name.lower() and re.fullmatch(r"[a-z][a-z0-9 '-]+", t))


def read_set(icons: dict, chars: dict[str, str]) -> IconSet:
    """An :class:`IconSet` from the package's ``icons.json`` and ``chars.json`` contents."""
    aliases = {}
    for name, alias in icons.get("aliases", {}).items():
        if set(alias) == {"parent"} and alias["parent"] in icons["icons"]:
            aliases[name] = alias["parent"]
    # Several code sequences fold onto one once FE0F is gone: the shortest, then lowest, name wins.
    table: dict[str, str] = {}
    for code, name in sorted(chars.items(), key=lambda pair: (len(pair[0]), pair[0])):
        table.setdefault(plain_hex(code), name)
    frame = (icons.get("left", 0), icons.get("top", 0), icons["width"], icons["height"])
    return IconSet(icons["icons"], aliases, table, frame)


def match(entries: list[Entry], sets: dict[str, IconSet]) -> dict[str, dict[str, str]]:
    """Set name -> {concept hex: icon name}. One icon may serve only one concept of a set."""
    learned = _learned_slugs(sets)
    return {name: _match_set(entries, icons, learned) for name, icons in sets.items()}


def _learned_slugs(sets: dict[str, IconSet]) -> dict[str, tuple[str, ...]]:
    slugs: dict[str, set[str]] = {}
    for icons in sets.values():
        for code, name in icons.chars.items():
            slugs.setdefault(code, set()).add(name)
    return {code: tuple(sorted(names, key=lambda n: (len(n), n))) for code, names in slugs.items()}


def _match_set(
    entries: list[Entry], icons: IconSet, learned: dict[str, tuple[str, ...]]
) -> dict[str, str]:
    dense = {name.replace("-", ""): name for name in sorted(icons.icons, reverse=True)}
    taken: dict[str, str] = {}
    # Certain matches are settled for all concepts before guesses: a guess never steals an icon.
    for rule in (_by_table, _by_label, _by_learned, _by_unicode_name, _by_dense):
        for entry in sorted(entries, key=lambda e: (len(e.hex), e.hex)):
            if entry.hex in taken:
                continue
            icon = rule(entry, icons, learned, dense)
            if icon is not None and icon not in taken.values():
                taken[entry.hex] = icon
    return taken


def _by_table(entry: Entry, icons: IconSet, learned: dict, dense: dict) -> str | None:
    return icons.resolve(icons.chars.get(entry.hex))


def _by_label(entry: Entry, icons: IconSet, learned: dict, dense: dict) -> str | None:
    return icons.resolve(slug(entry.name)) if slug(entry.name) else None


def _by_learned(entry: Entry, icons: IconSet, learned: dict, dense: dict) -> str | None:
    found = (icons.resolve(name) for name in learned.get(entry.hex, ()))
    return next((name for name in found if name is not None), None)


def _by_unicode_name(entry: Entry, icons: IconSet, learned: dict, dense: dict) -> str | None:
    name = _unicode_slug(entry)
    return icons.resolve(name) if name else None


def _by_dense(entry: Entry, icons: IconSet, learned: dict, dense: dict) -> str | None:
    names = (slug(entry.name), *learned.get(entry.hex, ()), _unicode_slug(entry))
    found = (dense.get(name.replace("-", "")) for name in names if name)
    return next((name for name in found if name is not None), None)


def _unicode_slug(entry: Entry) -> str:
    return slug(unicodedata.name(chr(int(entry.hex, 16)), "")) if "-" not in entry.hex else ""


def core_entries(entries: list[Entry], membership: dict[str, dict[str, str]]) -> list[Entry]:
    """The core list: common, short-named things of five groups, in Unicode order."""
    return [
        entry
        for entry in entries
        if entry.group in CORE_GROUPS
        and entry.subgroup not in _DROPPED_SUBGROUPS
        and len(entry.name.split()) <= CORE_WORDS
        and not any(word in entry.name.lower() for word in _DROPPED_WORDS)
        and sum(entry.hex in found for found in membership.values()) >= CORE_MEMBERSHIP
    ]
