"""Build the sprite atlas from the pinned artwork packages.

    python -m var_spaces.training.data.build_atlas --out assets/atlas [--cache DIR]

Needs npm (or a cache folder that already holds the tarballs) and the PyPI package ``resvg-py``.
Takes about a minute on one core. Nothing else in the project needs either: the result is shipped.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from var_spaces import pictures
from var_spaces.errors import VarSpacesError
from var_spaces.training.data import matching, packages
from var_spaces.training.data.index import (
    CORE_64,
    EASY_STYLES,
    FORMAT,
    IMAGE_NAME,
    INDEX_NAME,
    Style,
)
from var_spaces.training.data.splits import table_splits

TILE = 64
COLUMNS = 64

STYLES = (
    Style("soft", "noto", "Apache-2.0", "A", ink=False),
    Style("blob", "noto-v1", "Apache-2.0", "A", ink=False),
    Style("glossy", "fluent-emoji", "MIT", "A", ink=False),
    Style("flat", "fluent-emoji-flat", "MIT", "A", ink=False),
    Style("ink", "fluent-emoji-high-contrast", "MIT", "A", ink=True),
    Style("round", "twemoji", "CC-BY-4.0", "B", ink=False),
    Style("fox", "fxemoji", "CC-BY-4.0", "B", ink=False),
)
"""Plain words for the styles; the order is the style id."""

INK = "#222222"


def main(argv: list[str] | None = None) -> int:
    """Command line entry. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the sprite atlas.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--cache", type=Path, help="folder that keeps the downloaded tarballs")
    options = parser.parse_args(argv)
    try:
        if options.cache is None:
            with tempfile.TemporaryDirectory() as folder:
                build(options.out, Path(folder), _say)
        else:
            options.cache.mkdir(parents=True, exist_ok=True)
            build(options.out, options.cache, _say)
    except VarSpacesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def build(out: Path, cache: Path, say: Callable[[str], None]) -> None:
    """Write ``atlas.webp`` and ``index.json`` to ``out``; tarballs are read from ``cache``.

    Raises:
        VarSpacesError: a package cannot be had or is not the pinned one, or resvg-py is missing.
    """
    tarballs = {
        package.name: packages.fetch(package, cache, say) for package in packages.all_packages()
    }
    entries, sets = _read(tarballs)
    found = matching.match(entries, sets)
    core = matching.core_entries(entries, found)
    say(f"{len(entries)} concepts, {len(core)} in the core list")

    tiles: list[np.ndarray] = []
    table = [[-1] * len(STYLES) for _ in core]
    for row, entry in enumerate(core):
        for column, style in enumerate(STYLES):
            icon = found[style.set].get(entry.hex)
            if icon is not None:
                table[row][column] = len(tiles)
                tiles.append(_render(sets[style.set], icon))
        if row % 50 == 49 or row + 1 == len(core):
            say(f"rendered {row + 1}/{len(core)} concepts, {len(tiles)} sprites")

    say("packing the image")
    image = _pack(tiles)
    out.mkdir(parents=True, exist_ok=True)
    (out / IMAGE_NAME).write_bytes(image)
    index = _index(core, table, len(tiles), hashlib.sha256(image).hexdigest())
    (out / INDEX_NAME).write_text(_dump(index), encoding="utf-8")
    say(f"wrote {len(tiles)} sprites, {len(image) / 1e6:.2f} MB")


def _read(
    tarballs: dict[str, Path],
) -> tuple[list[matching.Entry], dict[str, matching.IconSet]]:
    names = tarballs[packages.NAMES.name]
    entries = matching.read_entries(
        packages.read_json(names, "en/data.json"),
        packages.read_json(names, "meta/groups.json"),
        packages.read_json(tarballs[packages.KEYWORDS.name], "dist/emoji-en-US.json"),
    )
    sets = {}
    for name, package in {**packages.SHIPPED_SETS, **packages.COUNTED_SETS}.items():
        tarball = tarballs[package.name]
        sets[name] = matching.read_set(
            packages.read_json(tarball, "icons.json"), packages.read_json(tarball, "chars.json")
        )
    return entries, sets


def _render(icons: matching.IconSet, name: str) -> np.ndarray:
    """One icon as (TILE, TILE, 4) uint8, straight alpha, colour zeroed where nothing is drawn."""
    try:
        import resvg_py
    except ImportError:
        raise VarSpacesError("resvg-py is not installed: pip install resvg-py") from None
    png = resvg_py.svg_to_bytes(
        svg_string=icons.svg(name, INK), width=TILE, height=TILE, skip_system_fonts=True
    )
    pixels = np.array(pictures.read(bytes(png), name).convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0  # invisible colour would only cost bytes
    return pixels


def _pack(tiles: list[np.ndarray]) -> bytes:
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.zeros((rows * TILE, COLUMNS * TILE, 4), np.uint8)
    for number, tile in enumerate(tiles):
        y, x = divmod(number, COLUMNS)
        sheet[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] = tile
    stream = io.BytesIO()
    Image.fromarray(sheet, "RGBA").save(stream, "WEBP", lossless=True, quality=100, exact=True)
    return stream.getvalue()


def _index(core: list[matching.Entry], table: list[list[int]], sprites: int, sha256: str) -> dict:
    names = [entry.name for entry in core]
    words = [style.word for style in STYLES]
    core64 = [names.index(name) for name in CORE_64]
    easy_styles = [words.index(word) for word in EASY_STYLES]
    splits = table_splits(names, words, table, core64, easy_styles)
    return {
        "format": FORMAT,
        "sha256": sha256,
        "tile": TILE,
        "columns": COLUMNS,
        "sprites": sprites,
        "packages": {package.name: package.version for package in packages.all_packages()},
        "styles": [vars(style) for style in STYLES],
        "core64": core64,
        "easy_styles": easy_styles,
        "splits": {
            "unseen_style": splits.style,
            "unseen_concepts": sorted(splits.concepts),
            "unseen_pairs": sorted(splits.pairs),
        },
        "concepts": [vars(entry) | {"tags": list(entry.tags)} for entry in core],
        "table": table,
    }


def _dump(index: dict) -> str:
    """JSON with one concept or table row per line, so that a change reads well in a diff."""
    lines = []
    for key, value in index.items():
        if key in ("concepts", "table", "styles"):
            items = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in value)
            lines.append(f' "{key}": [\n  {items}\n ]')
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
