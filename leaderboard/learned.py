"""A model that learned content and style of every picture of a suite, as one folder.

Pictures that were learned are kept one by one in ``work``, so an interrupted command continues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard.suites.base import Suite
from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.paths import write_file

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.training.styles.settings import StyleSettings
    from var_spaces.zoo.residency import LoadedModel

WORK = Path("runs") / "leaderboard" / "learned"
Words = dict[str, tuple[str, str]]  # content hash -> words for content and for style


def words_of(suite: Suite) -> Words:
    """Pictures of a suite with their two words, in its order.

    Raises:
        VarSpacesError: if it is no suite of styles.
    """
    if suite.task != "style":
        raise VarSpacesError(
            f"'{suite.name}' has no pictures whose content and style could be learned: take "
            "embedded-style or csd-100."
        )
    inputs = [item.inputs for item in suite.items()]
    return {one["source"]: (one["content"], one["style"]) for one in inputs}


def learn(
    suite: Suite,
    base: LoadedModel,
    settings: StyleSettings,
    out: Path,
    work: Path = WORK,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> str:
    """Learn every picture that was not learned yet, and write the model.

    Args:
        progress: called after every picture.

    Returns:
        Digest of the weights.
    """
    from safetensors.torch import load

    from var_spaces.adapters.content_styles import SHORT
    from var_spaces.methods import dump, parse
    from var_spaces.zoo.writer import save_model

    words, state, adapter = words_of(suite), {}, None
    pictures = suite.pictures()
    for at, (source, (content, style)) in enumerate(words.items()):
        path = work / f"{_key(base, settings, source, content, style)}.safetensors"
        adapter, tensors = _learned(base, settings, pictures[source], content, style, path)
        state |= {f"{at}.{name}": tensor for name, tensor in load(tensors).items()}
        progress("learn", at + 1, len(words))
    fields = {
        "name": "content-styles",
        "pictures": [source[:SHORT] for source in words],
        "contents": [content for content, _ in words.values()],
        "styles": [style for _, style in words.values()],
    }
    card = {
        "format": 1,
        "id": out.name,
        "title": f"{len(words)} pictures of {suite.name}, content and style apart",
        "base": base.card.id,
        "adapter": dump(parse("adapter", {**dump(adapter), "content": "", "style": "", **fields})),
        "training": {"settings": asdict(settings), "pictures": len(words)},
    }
    return save_model(out, card, state, dtype=None)


def _key(base: LoadedModel, settings: StyleSettings, *what: str) -> str:
    """A short name for everything that the result depends on."""
    asked = [base.weights_sha256, asdict(settings), *what]
    return hashlib.sha256(codecs.canonical(asked).encode()).hexdigest()[:24]


def _learned(base, settings, picture, content: str, style: str, path: Path):
    """The adapter of one picture and its weights, as the bytes of a file."""
    from safetensors.torch import save

    from var_spaces.training.personal import as_batch
    from var_spaces.training.styles.tuning import StyleTuning

    tuning = StyleTuning(base, as_batch([picture], base.card.resolution), content, style, settings)
    if not path.is_file():
        for _ in tuning.run():
            pass
        tensors: dict[str, Tensor] = {k: v.contiguous() for k, v in tuning.own.state_dict().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, save(tensors))
    return tuning.adapter, path.read_bytes()
