"""Cards: what models exist, read from JSON files without torch.

Where they lie says ``places.py``, what one of them says ``card.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from var_spaces import codecs, methods
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.validation import FrozenDict, freeze
from var_spaces.zoo import hub
from var_spaces.zoo.card import Card
from var_spaces.zoo.folders import CARD
from var_spaces.zoo.offers import may_use, patterns
from var_spaces.zoo.places import FOLDERS_VARIABLE, card_files, id_of

# What an adapter takes over from its base.
INHERITED = (
    "family", "role", "architecture", "tokenizer", "text_encoder", "classes", "styles",
    "resolution",
)  # fmt: skip
MAX_CARD_BYTES = 1024 * 1024


def read_card(path: str | Path) -> Card:
    """Read one card.

    Raises:
        VarSpacesError: one line that names the file.
    """
    path = Path(path)
    try:
        found = path.stat()
        data = _read(path, found.st_mtime_ns, found.st_size)
        base = _base(data["base"]) if isinstance(data.get("base"), str) and data["base"] else None
        return _card(path, data, base)
    except OSError as error:
        raise VarSpacesError(f"Cannot read model card {path}: {error.strerror}.") from None
    except VarSpacesError as error:
        raise VarSpacesError(f"Bad model card {path}: {error}") from None


@lru_cache(maxsize=1024)
def _read(path: Path, changed: int, size: int) -> FrozenDict:
    """Cards are asked for at every step of a page, so a file is parsed once per change."""
    with open(path, "rb") as file:
        text = file.read(MAX_CARD_BYTES + 1)
    data = codecs.parse_json(text, "It", MAX_CARD_BYTES)
    if not isinstance(data, dict):
        raise VarSpacesError("It must be a JSON object.")
    return freeze(data)


@lru_cache(maxsize=1024)
def _card(path: Path, data: FrozenDict, base: Card | None) -> Card:
    card = Card(**{**completed(data, base), "folder": path.parent})
    if path.name == CARD and card.id != path.parent.name:
        raise VarSpacesError(f"its id '{card.id}' differs from its folder's name.")
    if card.adapter:
        methods.parse("adapter", card.adapter)
    return card


def completed(data: Mapping[str, Any], base: Card | None) -> dict[str, Any]:
    """What a card says, with what it takes over from the card of its base.

    Raises:
        VarSpacesError: if it says itself what its base says.
    """
    if base is None:
        return dict(data)
    own = [name for name in INHERITED if name in data]
    if own:
        raise VarSpacesError(f"'{own[0]}' comes from its base '{base.id}': leave it out.")
    taken = {name: getattr(base, name) for name in INHERITED}
    usual = {**base.defaults, **(data.get("defaults") or {})}
    return {**taken, "licence": base.licence, **data, "defaults": usual}


def as_json(card: Card) -> dict[str, Any]:
    """What ``card.json`` says: without what comes from the base."""
    data = card.model_dump(mode="json")
    if not card.base:
        return data
    usual = base_of(card).defaults
    own = {kind: given for kind, given in data["defaults"].items() if given != usual.get(kind)}
    return {k: v for k, v in {**data, "defaults": own}.items() if k not in INHERITED}


def base_of(card: Card) -> Card:
    """The card of the model whose weights are the greater part: that of an adapter's base.

    Raises:
        VarSpacesError: if an adapter's base is not known.
    """
    return _base(card.base) if card.base else card


def _base(name: str) -> Card:
    path = next((path for path in card_files() if id_of(path) == name), None)
    if path is None:
        raise VarSpacesError(f"its base '{name[:64]}' is not known here: add that model first.")
    found = path.stat()
    data = _read(path, found.st_mtime_ns, found.st_size)
    if data.get("base"):
        raise VarSpacesError(f"its base '{name}' is an adapter itself: name the model below it.")
    base = _card(path, data, None)
    if base.role != "generator":
        raise VarSpacesError(f"its base '{name}' is a {base.role}, not a generator.")
    return base


def known(role: str | None = None) -> dict[str, Card]:
    """All readable cards by id, sorted, whether their weights are here or not."""
    found = {}
    for path in card_files():
        try:
            card = read_card(path)
        except VarSpacesError:
            continue  # see problems()
        if role in (None, card.role):
            found.setdefault(card.id, card)
    return dict(sorted(found.items()))


def cards(role: str | None = None) -> dict[str, Card]:
    """The models on offer, by id: those of ``VAR_SPACES_OFFER``, else those with weights here."""
    return {name: card for name, card in known(role).items() if _offered(card)}


def _offered(card: Card) -> bool:
    if card.role == "generator" and patterns():
        return may_use(card)
    return bool(card.added) or all(map(_is_here, (card, base_of(card))))


def _is_here(card: Card) -> bool:
    """Whether the weights are on this machine, or are fetched when they are needed."""
    return card.source is None or bool(card.added) or hub.cached(card.source) is not None


def problems() -> list[str]:
    """One line for every card that cannot be read."""
    lines = []
    for path in card_files():
        try:
            read_card(path)
        except VarSpacesError as error:
            lines.append(str(error))
    return lines


def get_card(model: str, role: str | None = None) -> Card:
    """The card of a model.

    Raises:
        UnknownName: if there is none; names the nearest one.
        VarSpacesError: if the card is damaged, the model has another role or is not on offer.
    """
    path = next((path for path in card_files() if id_of(path) == model), None)
    if path is None:
        listed = ", ".join(cards(role)) or f"none (set {FOLDERS_VARIABLE} to a folder of models)"
        near = did_you_mean(model, known(role))
        raise UnknownName(f"Unknown model '{model[:80]}'.{near} Available: {listed}.")
    card = read_card(path)
    if role not in (None, card.role):
        raise VarSpacesError(
            f"Model '{model}' is a {card.role}, not a {role}: choose one of "
            f"{', '.join(cards(role)) or 'none'}."
        )
    if card.role == "generator" and not may_use(card):
        raise VarSpacesError(
            f"Model '{model}' is not offered here: choose one of "
            f"{', '.join(cards('generator')) or 'none'}."
        )
    return card
