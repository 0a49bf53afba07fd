"""The frozen test scenes: the same 2,000 pictures of unseen things, with captions.

    python -m var_spaces.training.data.frozen_scenes --out assets/atlas/test_scenes.json

writes them again. They are kept as records in a file rather than as a seed, so that a later
change of the sampler cannot change them.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.captions import CaptionWriter
from var_spaces.training.data.index import default_folder
from var_spaces.training.data.recipes import WIDE
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.scene import Scene

FORMAT = 2
FILE_NAME = "test_scenes.json"
SEED = 64
PER_SPLIT = 1000
FROZEN_SPLITS = ("unseen_concepts", "unseen_pairs")


@dataclass(frozen=True)
class Captioned:
    """A frozen scene and its caption."""

    scene: Scene
    caption: str


def make_test_scenes(atlas: Atlas) -> dict[str, list[Captioned]]:
    """Draw the scenes: 1,000 for each split of FROZEN_SPLITS, from the wide recipe."""
    writer = CaptionWriter(atlas)
    found = {}
    for split in FROZEN_SPLITS:
        sampler = SceneSampler(atlas, replace(WIDE, split=split))
        scenes = unpack(atlas, sampler.batch(SEED, 0, PER_SPLIT))
        captions = writer.batch(scenes, SEED, 0)
        found[split] = [Captioned(s, c.text) for s, c in zip(scenes, captions, strict=True)]
    return found


def load_test_scenes(path: Path | None = None) -> dict[str, list[Captioned]]:
    """Read the frozen scenes and captions by split (default: the file of this checkout).

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
        split: [Captioned(Scene.from_dict(item["scene"]), item["caption"]) for item in items]
        for split, items in data["scenes"].items()
    }


def dump(scenes: dict[str, list[Captioned]]) -> str:
    """The file's text: one scene per line."""
    parts = []
    for split, items in scenes.items():
        lines = ",\n  ".join(
            f'{{"caption":{json.dumps(item.caption)},"scene":{item.scene.to_json()}}}'
            for item in items
        )
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
