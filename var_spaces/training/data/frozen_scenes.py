"""The frozen test scenes: the same 256 pictures of unseen things for every tokenizer and model.

    python -m var_spaces.training.data.frozen_scenes --out assets/atlas/test_scenes.json

writes them again. They are kept as records in a file rather than as a seed, so that a later
change of the sampler cannot change them.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.index import default_folder
from var_spaces.training.data.recipes import WIDE
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.scene import Scene

FORMAT = 1
FILE_NAME = "test_scenes.json"
SEED = 64
PER_SPLIT = 128
FROZEN_SPLITS = ("unseen_concepts", "unseen_pairs")


def make_test_scenes(atlas: Atlas) -> dict[str, list[Scene]]:
    """Draw the scenes: 128 for each split of FROZEN_SPLITS, from the wide recipe."""
    scenes = {}
    for split in FROZEN_SPLITS:
        sampler = SceneSampler(atlas, replace(WIDE, split=split))
        scenes[split] = unpack(atlas, sampler.batch(SEED, 0, PER_SPLIT))
    return scenes


def load_test_scenes(path: Path | None = None) -> dict[str, list[Scene]]:
    """Read the frozen scenes by split (default: the file of this checkout).

    Raises:
        VarSpacesError: the file is missing, has another format, or holds a bad record.
    """
    path = path or default_folder() / FILE_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VarSpacesError(
            f"No {path.name}: write it with python -m var_spaces.training.data.frozen_scenes "
            f"--out assets/atlas/{FILE_NAME}"
        ) from None
    except json.JSONDecodeError as error:
        raise VarSpacesError(f"{path.name} is not valid JSON: {error}.") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise VarSpacesError(f"{path.name} is not a scene file of format {FORMAT}.")
    return {
        split: [Scene.from_dict(item) for item in data["scenes"][split]] for split in data["scenes"]
    }


def dump(scenes: dict[str, list[Scene]]) -> str:
    """The file's text: one scene per line."""
    parts = []
    for split, items in scenes.items():
        lines = ",\n  ".join(scene.to_json() for scene in items)
        parts.append(f'"{split}":[\n  {lines}\n ]')
    return f'{{"format":{FORMAT},"scenes":{{\n ' + ",\n ".join(parts) + "}}\n"


def main(argv: list[str] | None = None) -> int:
    """Command line entry. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the frozen test scenes.")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(argv)
    try:
        scenes = make_test_scenes(Atlas.load())
    except VarSpacesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.out.write_text(dump(scenes), encoding="utf-8")
    print(f"wrote {sum(map(len, scenes.values()))} scenes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
