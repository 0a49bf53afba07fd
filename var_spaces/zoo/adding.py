"""Adds a model of others by its card: a file, a folder, or a repository on the Hub.

A card is a stranger's text: all of it is checked before anything is kept. Weights on the Hub are
not fetched here but when the model first runs; those beside a card are checked and linked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from var_spaces import codecs, methods
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.paths import expanded
from var_spaces.spec import PARTS
from var_spaces.validation import shorten
from var_spaces.zoo import cards, hub, places
from var_spaces.zoo.cards import MAX_CARD_BYTES, Card
from var_spaces.zoo.families import FAMILIES
from var_spaces.zoo.folders import CARD, INDEX, SINGLE, replace_folder
from var_spaces.zoo.locate import MAX_INDEX_BYTES, READABLE, digest_of, indexed_names, weight_files
from var_spaces.zoo.source import REPOSITORY, REVISION, Source

ON_THE_HUB = re.compile(f"(?P<name>{REPOSITORY})(@(?P<revision>{REVISION}))?")
MOST = {"depth": 256, "text_blocks": 64, "num_res_blocks": 32}  # of what a module repeats
LARGEST, LONGEST = 2**20, 64  # any other size of an architecture, and entries of a list


def add(origin: str) -> Card:
    """Make a model known to this installation.

    Args:
        origin: a card file, a model folder, or ``owner/name[@revision]`` on the Hub.

    Raises:
        VarSpacesError: if there is no card, it is refused, or its id is taken.
    """
    path, match = expanded(origin), ON_THE_HUB.fullmatch(origin)
    if path.exists():
        return _add_local(path / CARD if path.is_dir() else path)
    if match:
        return _add_remote(match["name"], match["revision"] or "main")
    raise VarSpacesError(
        f"No card at '{origin[:200]}': give a card file, a model folder, or owner/name on the Hub."
    )


def _add_local(path: Path) -> Card:
    try:
        with open(path, "rb") as file:
            data = checked(file.read(MAX_CARD_BYTES + 1))
    except OSError as error:
        raise VarSpacesError(f"Cannot read the card {path}: {error.strerror}.") from None
    data["added"] = str(path.resolve())[:500]
    if data.get("source"):
        return _keep(data)
    files = weight_files(path.parent)
    from var_spaces.zoo.checkpoints import told

    card, _ = told(described(data), files)
    if card.base:
        data["adapter"] = card.adapter
    digest = digest_of(files)
    if card.weights_sha256 and card.weights_sha256 != digest:
        raise VarSpacesError(
            f"The weights beside the card are not those that it names: their SHA-256 is "
            f"{digest[:16]}..., not {card.weights_sha256[:16]}...."
        )
    data["weights_sha256"] = digest
    index = path.parent / INDEX
    return _keep(data, [*files, index] if index.is_file() else files)


def _add_remote(repository: str, revision: str) -> Card:
    asked = Source(repository=repository, files=[CARD], revision=revision)
    found = hub.look(asked, CARD)
    if found is None:
        raise VarSpacesError(f"Repository '{repository}' has no {CARD}, so it cannot be added.")
    if found.size > MAX_CARD_BYTES:
        raise VarSpacesError(f"The card of '{repository}' is larger than {MAX_CARD_BYTES} bytes.")
    pinned = asked.model_copy(update={"revision": found.revision})
    (path,) = hub.fetch(pinned)
    data = checked(path.read_bytes())
    if not data.get("source"):
        data["source"] = _weights_of(pinned)
    return _keep({**data, "added": f"{repository}@{found.revision}"})


def _weights_of(pinned: Source) -> dict[str, Any]:
    """The weights beside a card on the Hub, at the same commit."""
    where = {"repository": pinned.repository, "revision": pinned.revision}
    if single := hub.look(pinned, SINGLE):
        return {**where, "files": [SINGLE], "bytes": single.size or None}
    index = hub.look(pinned, INDEX)
    if index is None or index.size > MAX_INDEX_BYTES:
        raise VarSpacesError(
            f"Repository '{pinned.repository}' has no {SINGLE} and no {INDEX} that could be read: "
            "name the weights in the card under 'source'."
        )
    (path,) = hub.fetch(pinned.model_copy(update={"files": (INDEX,)}))
    return {**where, "files": [INDEX, *indexed_names(path)]}


def checked(text: bytes) -> dict[str, Any]:
    """The contents of a stranger's card.

    Raises:
        VarSpacesError: one line, for anything that is not as a card of a known layout must be.
    """
    data = codecs.parse_json(text, "The card", MAX_CARD_BYTES)
    if not isinstance(data, dict):
        raise VarSpacesError("The card must be a JSON object.")
    _only(data, [name for name in Card.field_names() if name != "folder"], "The card")
    card = described(data)
    _check_adapter(card)
    _check_architecture(card)
    if card.paper and not re.fullmatch(r"https://[^\s\"'<>]{1,300}", card.paper):
        raise VarSpacesError(f"paper = {shorten(card.paper)} must be an https link.")
    _check_methods(card)
    for name in card.source.files if card.source else ():
        if not name.endswith((*READABLE, ".index.json")):
            raise VarSpacesError(
                f"source.files: '{name[:80]}' is not read: weights are files of "
                f"{', '.join(READABLE)}."
            )
    return {**data, "featured": False}  # that is for the owner to say


def described(data: Mapping[str, Any]) -> Card:
    """The card of a stranger's text, completed by its base if it is an adapter's.

    Raises:
        VarSpacesError: if it is refused or its base is not known.
    """
    base = data.get("base")
    if not base:
        return Card(**data)
    known = cards.known("generator")
    if not isinstance(base, str) or base not in known:
        near = did_you_mean(str(base), known)
        raise UnknownName(f"Its base {shorten(base)} is not known: add that model first.{near}")
    if known[base].base:
        raise VarSpacesError(f"Its base '{base}' is an adapter itself: name the model below it.")
    return Card(**cards.completed(data, known[base]))


def _check_adapter(card: Card) -> None:
    """What an adapter needs of a model, models of that family have."""
    if not card.adapter:
        return
    of_families = frozenset().union(*(family.offers for family in FAMILIES.values()))
    adapter, base = methods.parse("adapter", card.adapter), card.base or card.id
    for need, why in adapter.needs.items():
        if need in of_families - card.offers:
            raise VarSpacesError(f"The adapter '{adapter.name}' does not fit '{base}': {why}.")


def _check_architecture(card: Card) -> None:
    """Known names and bounded sizes, and a module that can be built."""
    from var_spaces.zoo.manifest import build

    _only(card.architecture, card.kind.sizes, f"The architecture of family '{card.family}'")
    for name, value in card.architecture.items():
        many = isinstance(value, Sequence) and not isinstance(value, str)
        if many and len(value) > LONGEST:
            raise VarSpacesError(f"architecture.{name} has {len(value)} entries, not {LONGEST}.")
        most = MOST.get(name, LARGEST)
        for number in value if many else (value,):
            if isinstance(number, int | float) and abs(number) > most:
                raise VarSpacesError(f"architecture.{name} is {number}: allowed is {most} at most.")
    build(card)


def _check_methods(card: Card) -> None:
    """Defaults and text encoder name methods that exist, and no file of this machine."""
    _only(card.defaults, ("task", *PARTS), "defaults of the card")
    for kind, given in card.defaults.items():
        if kind == "task":
            name = given.get("name") if isinstance(given, Mapping) else given
            methods.get("task", name).check_some(card.usual_inputs(name))
        else:
            methods.parse(kind, given)
    if card.text_encoder:
        methods.parse("text_encoder", card.text_encoder)
        model = card.text_encoder.get("model", "a/b")
        if not re.fullmatch(REPOSITORY, model):
            raise VarSpacesError(f"text_encoder.model = {shorten(model)} must be owner/name.")


def _only(given: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for name in given:
        if name not in known:
            near = did_you_mean(name, known)
            raise UnknownName(f"{what}: unknown field '{name[:40]}'.{near}")


def _keep(data: Mapping[str, Any], weights: Sequence[Path] = ()) -> Card:
    """Write the card into the user's folder, with links to weights that lie elsewhere."""
    card = described(data)
    folder = places.user_folder() / card.id
    taken = cards.known().get(card.id)
    if (taken and (taken.folder != folder or not taken.added)) or (folder.exists() and not taken):
        raise VarSpacesError(f"There is a model '{card.id}' already: change the id in the card.")
    if card.tokenizer and card.tokenizer not in cards.known("tokenizer"):
        near = did_you_mean(card.tokenizer, cards.known("tokenizer"))
        raise UnknownName(f"Its tokenizer '{card.tokenizer}' is not known: add it first.{near}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{card.id}.", dir=folder.parent))
    try:
        text = json.dumps(cards.as_json(card), indent=2, ensure_ascii=False)
        (new / CARD).write_text(f"{text}\n", "utf-8")
        for path in weights:
            _link(path.resolve(), new / path.name)
        new.chmod(0o755)
        replace_folder(folder, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return cards.read_card(folder / CARD)


def _link(target: Path, link: Path) -> None:
    try:
        os.symlink(target, link)
    except OSError:  # a system without links
        shutil.copyfile(target, link)
