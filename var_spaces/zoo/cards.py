"""Cards: what models exist and what they are, read from JSON files without torch.

A card lives in a folder of its own, beside the weights, in ``assets/models`` or in one of the
folders that the environment variable ``VAR_SPACES_MODELS`` lists (separated as in PATH; without it,
in ``~/.var-spaces/models``). Cards of models that others published lie in ``assets/cards``; their
weights come from the Hub.

A card with ``base`` and ``adapter`` describes what is added to another model: its weights are those
of the adapter alone, and all that it does not say is as in the card of its base. With ``adapter``
and no ``base`` all weights are its own, and the adapter, which adds none, says how they run.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from var_spaces import codecs, methods
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.paths import expanded, made_folder
from var_spaces.schedule import ScaleSchedule
from var_spaces.spec import RunSpec
from var_spaces.validation import FrozenDict, FrozenModel, freeze, shorten
from var_spaces.zoo import hub
from var_spaces.zoo.families import FAMILIES, Family
from var_spaces.zoo.folders import CARD, MODEL_ID
from var_spaces.zoo.source import Source, Terms, optional

# What an adapter takes over from its base.
INHERITED = (
    "family", "role", "architecture", "tokenizer", "text_encoder", "classes", "styles",
    "resolution",
)  # fmt: skip
FOLDERS_VARIABLE = "VAR_SPACES_MODELS"
OFFER_VARIABLE = "VAR_SPACES_OFFER"
ASSETS = Path(__file__).resolve().parents[2] / "assets"
EMBEDDED = ASSETS / "models"
PUBLISHED = ASSETS / "cards"
USER = Path("~/.var-spaces/models")
MAX_CARD_BYTES = 1024 * 1024

# Folders of models that exist only for whom this context works: those of a visitor of the page.
_personal: ContextVar[tuple[Path, ...]] = ContextVar("personal models", default=())

NO_TEXT = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _plain(text: str) -> str:
    """Refuse text that would move a cursor or turn the direction of a line."""
    if any(c in NO_TEXT or unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise VarSpacesError(f"{shorten(text)} holds control characters: write plain text.")
    return text


Text = Annotated[str, AfterValidator(_plain)]
JsonObject = Annotated[dict[str, Any], AfterValidator(freeze)]


@lru_cache(maxsize=16)
def named_classes(name: str) -> tuple[str, ...]:
    """A list of class names that several cards share, e.g. ``"imagenet"``, in label order."""
    lists = {path.stem: path for path in (PUBLISHED / "classes").glob("*.json")}
    if name not in lists:
        raise VarSpacesError(f"no class list '{name[:40]}' ({', '.join(lists)}).")
    return tuple(json.loads(lists[name].read_text("utf-8")))


def _classes(value: Any) -> Any:
    return named_classes(value) if isinstance(value, str) else value


class Card(FrozenModel):
    """One model. Keys of ``card.json`` that are not listed here are ignored.

    Attributes:
        classes: names in label order, or the name of a shared list.
        paper: link.
        metrics: what was measured here; under ``paper``, what its authors report.
        source: where the weights are if they are not in ``folder``.
        terms: what a person must accept before the weights are downloaded.
        featured: whether it stands first where people choose, before the alphabet.
        added: whence a person added the card; its weights are then fetched when they are needed.
        entry: keys that lead to the weights inside a ``.pth``, e.g. those of an EMA copy.
        base: id of the model that an adapter extends; empty where all weights are the card's own.
        adapter: the method of kind "adapter" that extends the base, or these weights if it adds
            none to them, ``{"name": ..., **parameters}``.
    """

    model_config = ConfigDict(extra="ignore")

    format: Literal[1]
    id: str = Field(pattern=f"^{MODEL_ID}$")
    title: Text = Field(min_length=1, max_length=200)
    family: str
    role: Literal["generator", "tokenizer"]
    architecture: JsonObject
    base: str = Field("", max_length=64)
    adapter: JsonObject | None = None
    tokenizer: str | None = None
    text_encoder: JsonObject | None = None
    classes: Annotated[tuple[Text, ...], BeforeValidator(_classes)] = ()
    styles: tuple[Text, ...] = ()
    resolution: int = Field(ge=1, le=8192, description="pixels along a side")
    licence: Text = ""
    paper: Text = ""
    defaults: JsonObject = FrozenDict()
    training: JsonObject = FrozenDict()
    metrics: JsonObject = FrozenDict()
    source: optional(Source) = None
    terms: optional(Terms) = None
    featured: bool = False
    entry: tuple[str, ...] = ()
    added: Text = Field("", max_length=500)
    weights_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    folder: Path = Field(Path(), exclude=True, strict=False)

    @classmethod
    def described_as(cls) -> str:
        return "model card"

    @model_validator(mode="after")
    def _check(self) -> Card:
        if self.base and not self.adapter:
            raise VarSpacesError(f"it must say which 'adapter' extends its base '{self.base}'.")
        if self.family not in FAMILIES:
            near = did_you_mean(self.family, FAMILIES)
            raise VarSpacesError(f"unknown family '{self.family}'.{near}")
        if self.role != self.kind.role:
            raise VarSpacesError(f"family '{self.family}' is a {self.kind.role}, not {self.role}.")
        if self.role == "generator" and not self.tokenizer:
            raise VarSpacesError("a generator needs the id of its 'tokenizer'.")
        if self.kind.reads_text != bool(self.text_encoder):
            raise VarSpacesError(
                f"a model of family '{self.family}' must "
                f"{'name' if not self.text_encoder else 'not have'} a 'text_encoder'."
            )
        for key, names in (("num_classes", self.classes), ("num_styles", self.styles)):
            size, different = self.architecture.get(key, len(names)), len(set(names))
            if not size == len(names) == different:
                raise VarSpacesError(
                    f"architecture.{key} is {size}, but {different} different names are given."
                )
        _ = self.schedule
        return self

    @property
    def kind(self) -> Family:
        """The family with its capabilities."""
        return FAMILIES[self.family]

    @property
    def schedule(self) -> ScaleSchedule:
        """The model's own scale schedule."""
        try:
            return ScaleSchedule.square(self.architecture["patch_nums"])
        except (KeyError, TypeError, ValueError) as error:
            reason = error if isinstance(error, VarSpacesError) else "it must list whole numbers"
            raise VarSpacesError(f"architecture.patch_nums: {reason}") from None

    def default(self, kind: str) -> Any:
        """The method of a kind that suits the model, or the task: its own, else that of every run
        spec."""
        return self.defaults.get(kind) or freeze(RunSpec.model_fields[kind].default)

    @property
    def default_task(self) -> str:
        """Name of the task that the model is for."""
        task = self.default("task")
        return task if isinstance(task, str) else task["name"]

    def usual_inputs(self, task: str) -> dict[str, Any]:
        """Inputs of a task that suit the model, where its card names some."""
        usual = self.default("task")
        if isinstance(usual, str) or usual["name"] != task:
            return {}
        return {name: value for name, value in usual.items() if name != "name"}

    def as_json(self) -> dict[str, Any]:
        """What ``card.json`` says: without what comes from the base."""
        data = self.model_dump(mode="json")
        if not self.base:
            return data
        usual = base_of(self).defaults
        own = {kind: given for kind, given in data["defaults"].items() if given != usual.get(kind)}
        return {k: v for k, v in {**data, "defaults": own}.items() if k not in INHERITED}

    @property
    def kv_layout(self) -> tuple[int, int] | None:
        """Attention layers and heads of the KV cache, where the architecture names them."""
        sizes = [self.architecture.get(name) for name in ("depth", "heads")]
        whole = "kv-cache" in self.kind.offers and all(isinstance(n, int) for n in sizes)
        return tuple(sizes) if whole else None


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


def base_of(card: Card) -> Card:
    """The card of the model whose weights are the greater part: that of an adapter's base.

    Raises:
        VarSpacesError: if an adapter's base is not known.
    """
    return _base(card.base) if card.base else card


def _base(name: str) -> Card:
    path = next((path for path in _paths() if _id(path) == name), None)
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


def folders() -> list[Path]:
    """Where models are looked for; a model of an earlier folder hides one of the same id."""
    return [EMBEDDED, *_own_folders(), *_personal.get()]


@contextmanager
def personal(folders: Iterable[Path]) -> Iterator[None]:
    """Know the models of some more folders in this context (thread or task), and nowhere else."""
    token = _personal.set(tuple(folders))
    try:
        yield
    finally:
        _personal.reset(token)


def personal_folders() -> tuple[Path, ...]:
    """Folders of models that are known in this context alone."""
    return _personal.get()


def _own_folders() -> list[Path]:
    if FOLDERS_VARIABLE in os.environ:
        listed = os.environ[FOLDERS_VARIABLE].split(os.pathsep)
        return [expanded(entry) for entry in listed if entry]
    try:
        return [expanded(USER)]
    except VarSpacesError:  # nobody's home
        return []


def user_folder() -> Path:
    """Where a person's own models are put.

    Raises:
        VarSpacesError: if the installation has no such folder.
    """
    own = _own_folders()
    if not own:
        raise VarSpacesError(f"There is no folder of own models: set {FOLDERS_VARIABLE} to one.")
    return own[0]


def known(role: str | None = None) -> dict[str, Card]:
    """All readable cards by id, sorted, whether their weights are here or not."""
    found = {}
    for path in _paths():
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
    if card.role == "generator" and _patterns():
        return may_use(card)
    return bool(card.added) or all(map(_is_here, (card, base_of(card))))


def _is_here(card: Card) -> bool:
    """Whether the weights are on this machine, or are fetched when they are needed."""
    return card.source is None or bool(card.added) or hub.cached(card.source) is not None


def may_use(card: Card) -> bool:
    """Whether the owner of this installation lets the model be used; one of a visitor's own as its
    base."""
    wanted = _patterns()
    name = card.base if is_personal(card) else card.id
    return not wanted or any(fnmatchcase(name, pattern) for pattern in wanted)


def may_download(card: Card) -> bool:
    """Whether weights that are missing are fetched when a run needs them.

    Those of models that the owner offers or that a person added, of their bases and tokenizers.
    """
    users = [c for c in known("generator").values() if card.id in (c.base, c.tokenizer)]
    if card.role == "generator":
        offered = may_use(card) and bool(_patterns() or card.added)
        return offered or any(may_use(user) and may_download(user) for user in users)
    return bool(_patterns() or card.added) or any(user.added for user in users)


def check_new(folder: Path, replace: bool) -> None:
    """Refuse a folder that cannot become a new model, before the work whose result it takes.

    Args:
        folder: its name is the id.
        replace: whether a model that is there may go.

    Raises:
        VarSpacesError: if the name is no id or that of a model elsewhere, something is there, or
            nothing can be written.
    """
    if not re.fullmatch(MODEL_ID, folder.name):
        raise VarSpacesError(
            f"The folder '{folder.name[:80]}' gives the model its id: lower-case letters, digits, "
            "'.', '_' and '-', at most 64."
        )
    if folder.exists() and not (folder / CARD).is_file():
        raise VarSpacesError(f"{folder} exists and holds no model: choose another folder.")
    if folder.exists() and not replace:
        raise VarSpacesError(f"{folder} exists: choose another folder, or --replace it.")
    other = known().get(folder.name)
    if other is not None and other.folder.resolve() != folder.resolve():
        raise VarSpacesError(
            f"There is a model '{folder.name}' in {other.folder.parent} already, and one of them "
            "would hide the other: choose another name."
        )
    made_folder(folder.parent)


def is_personal(card: Card) -> bool:
    """Whether it is known in this context alone, so that no other process can draw with it."""
    return card.folder.parent in _personal.get()


def _patterns() -> list[str]:
    """Names in ``VAR_SPACES_OFFER``; ``*`` stands for any letters."""
    return [p.strip() for p in os.environ.get(OFFER_VARIABLE, "").split(",") if p.strip()]


def problems() -> list[str]:
    """One line for every card that cannot be read."""
    lines = []
    for path in _paths():
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
    path = next((path for path in _paths() if _id(path) == model), None)
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


def _id(path: Path) -> str:
    return path.parent.name if path.name == CARD else path.stem


def _paths() -> Iterator[Path]:
    for folder in folders():
        found = []
        with suppress(FileNotFoundError, NotADirectoryError):  # a visitor's may just have left
            found = [path / CARD for path in folder.iterdir() if not path.name.startswith(".")]
        yield from sorted(filter(Path.is_file, found))
    yield from sorted(PUBLISHED.glob("*.json"))
