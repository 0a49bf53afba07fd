"""Draws the gallery anew with the embedded models: ``python -m var_spaces.ui.gallery.draw``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np
from PIL import Image

from var_spaces import api
from var_spaces.events import ScaleDone
from var_spaces.spec import RunSpec
from var_spaces.ui.form import fits
from var_spaces.ui.form.examples import SCENES, examples
from var_spaces.ui.form.scenes import scenes
from var_spaces.ui.gallery.pictures import FOLDER, INDEX, example_key, scene_key
from var_spaces.zoo.cards import Card, get_card

TAB = "generate"
CLASSES = "var-base"  # draws the thumbnails of classes
SIDE, SMALL = 64, 48  # pixels of a tile
QUALITY = 85


def main() -> None:
    """Every example to click on and what it starts from, the scales of the first of each model, all
    classes and styles."""
    FOLDER.mkdir(exist_ok=True)
    cards = [card for card in fits.models(TAB).values() if not card.source]
    runs, tiles, names = {}, [], []
    for card in cards:
        first, *others = _specs(card)
        scales = list(_scales(first))
        _save(card.id, np.concatenate(scales, 1))
        runs[card.id] = {"spec": json.loads(first.to_json()), "scales": len(scales)}
        for spec in (first, *others):
            key = example_key(spec.inputs)
            if key not in names:
                names.append(key)
                tiles.append(_tile(np.asarray(api.generate(spec)[0]), SIDE))
    _save("examples", np.concatenate(tiles, 1))
    _save("scenes", np.concatenate(scenes(SCENES, SIDE), 1))
    card = get_card(CLASSES)
    _save("classes", np.concatenate([_row(card, style) for style in card.styles]))
    listed = {"classes": list(card.classes), "styles": list(card.styles)}
    begun = [scene_key(scene) for scene in SCENES]
    index = {"runs": runs, "examples": names, "scenes": begun, **listed}
    INDEX.write_text(json.dumps(index, indent=1) + "\n", "utf-8")


def _specs(card: Card) -> list[RunSpec]:
    task = fits.tasks(TAB, card)[0]
    return [
        api.make_spec(card.id, task=task, seed=example.seed, **_named(example.inputs))[0]
        for example in examples(task, card)
    ]


def _named(inputs: dict) -> dict:
    return {"class_" if key == "class" else key: value for key, value in inputs.items()}


def _scales(spec: RunSpec) -> Iterator[np.ndarray]:
    for event in api.stream(spec):
        if isinstance(event, ScaleDone):
            yield _tile(event.preview[0], SIDE)


def _row(card: Card, style: str) -> np.ndarray:
    found = []
    for label in card.classes:
        spec, _ = api.make_spec(card.id, class_=label, style=style, seed=1)
        found.append(_tile(np.asarray(api.generate(spec)[0]), SMALL))
    return np.concatenate(found, 1)


def _tile(pixels: np.ndarray, side: int) -> np.ndarray:
    """A square picture of the given side."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def _save(name: str, pixels: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY, method=6)
    (FOLDER / f"{name}.webp").write_bytes(buffer.getvalue())
    print(f"{name}.webp: {pixels.shape[1]} x {pixels.shape[0]}, {len(buffer.getvalue())} bytes")


if __name__ == "__main__":
    main()
