"""Cases of published benchmarks of editing, read from files that must be downloaded by hand.

Nothing in them is trusted: paths stay inside their folder, masks inside the picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard.extractors.files import data_file
from var_spaces.errors import VarSpacesError
from var_spaces.pictures import as_rgb, digest, read

if TYPE_CHECKING:
    import numpy as np

PIE = "pie-bench/mapping_file.json"
PIE_URL = "https://github.com/cure-lab/PnPInversion (PIE-Bench_v1, annotation_images beside it)"
EMU = "emu-edit/data"
EMU_URL = (
    "https://huggingface.co/datasets/facebook/emu_edit_test_set (hf download --repo-type dataset)"
)
IMGEDIT = "imgedit/Benchmark/singleturn"
IMGEDIT_URL = "https://huggingface.co/datasets/sysuyy/ImgEdit (Benchmark.tar, unpacked)"
IMGEDIT_KINDS = (
    "action", "add", "adjust", "background", "compose", "extract", "remove", "replace", "style",
)  # fmt: skip
FIELDS = ("image", "instruction", "input_caption", "output_caption", "task")


@dataclass(frozen=True)
class Case:
    """One edit that is asked for.

    Attributes:
        group: kind of edit.
        before, after: captions of the picture and of what it is to become; empty without them.
        mask: ``start, length, start, length, ...`` of what may change, pixels counted row by row;
            empty if there is none.
    """

    source: str
    instruction: str
    group: str
    before: str = ""
    after: str = ""
    mask: tuple[int, ...] = ()


@lru_cache(maxsize=2)
def pie_bench() -> tuple[Sequence[Case], Mapping[str, np.ndarray]]:
    """Cases of PIE-Bench (https://arxiv.org/abs/2310.01506) and their pictures by content hash.

    Raises:
        VarSpacesError: if the files are missing or are not what they should be.
    """
    path = data_file(PIE, PIE_URL)
    folder = path.parent / "annotation_images"
    cases, places = [], {}
    for key, item in sorted(_json(path).items()):
        try:
            name = Path(item["image_path"])
            group, mask = str(item["editing_type_id"]), tuple(map(int, item["mask"]))
            words = [str(item[name]) for name in WORDS]
        except (KeyError, TypeError, ValueError):
            raise VarSpacesError(
                f"{path.name}: entry {key[:40]} is not one of PIE-Bench."
            ) from None
        place = _inside(folder, name, path, key)
        source = digest(as_rgb(read(place)))
        places[source] = place
        before, after = (text.replace("[", "").replace("]", "") for text in words[1:])
        cases.append(Case(source, words[0], group, before, after, mask))
    return tuple(cases), FilePictures(places)


WORDS = ("editing_instruction", "original_prompt", "editing_prompt")


@lru_cache(maxsize=2)
def emu_edit() -> tuple[Sequence[Case], Mapping[str, np.ndarray]]:
    """Cases of the test split of Emu Edit (https://arxiv.org/abs/2311.10089), likewise."""
    folder = data_file(EMU, EMU_URL)
    cases, places = [], {}
    for path in sorted(folder.glob("test-*.parquet")):
        for row in _rows(path):
            source = digest(as_rgb(read(row["image"]["bytes"])))
            places[source] = row["image"]["bytes"]
            words = (row["instruction"], row["task"], row["input_caption"], row["output_caption"])
            cases.append(Case(source, *map(str, words)))
    if not cases:
        raise VarSpacesError(f"No test-*.parquet in {folder}: download it from {EMU_URL}.")
    return tuple(cases), FilePictures(places)


@lru_cache(maxsize=2)
def imgedit() -> tuple[Sequence[Case], Mapping[str, np.ndarray]]:
    """Cases of the basic part of ImgEdit-Bench (https://arxiv.org/abs/2505.20275), likewise."""
    path = data_file(f"{IMGEDIT}/singleturn.json", IMGEDIT_URL)
    cases, places = [], {}
    for key, item in sorted(_json(path).items()):
        try:
            name, instruction, kind = (str(item[part]) for part in ("id", "prompt", "edit_type"))
        except (KeyError, TypeError):
            name = instruction = kind = ""
        if kind not in IMGEDIT_KINDS or not instruction:
            raise VarSpacesError(f"{path.name}: entry {key[:40]} is not one of ImgEdit-Bench.")
        place = _inside(path.parent, name, path, key)
        source = digest(as_rgb(read(place)))
        places[source] = place
        cases.append(Case(source, instruction, kind))
    return tuple(cases), FilePictures(places)


def imgedit_rubrics() -> Mapping[str, str]:
    """What the judge of ImgEdit-Bench is told, by kind of edit.

    Raises:
        VarSpacesError: if the file is missing or does not have a text for every kind.
    """
    path = data_file(f"{IMGEDIT}/judge_prompt.json", IMGEDIT_URL)
    found = _json(path)
    missing = [kind for kind in IMGEDIT_KINDS if not isinstance(found.get(kind), str)]
    if missing:
        raise VarSpacesError(f"{path.name} has no text for {', '.join(missing)}.")
    return found


def _inside(folder: Path, name: str | Path, path: Path, key: str) -> Path:
    """A file below a folder, as an entry of a file names it."""
    place = (folder / name).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise VarSpacesError(f"{path.name}: entry {key[:40]} names a file outside its folder.")
    return place


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield from pq.read_table(path, columns=list(FIELDS)).to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise VarSpacesError(f"{path.name} is not a file of Emu Edit: {reason[:200]}") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise VarSpacesError(f"{path.name} is not valid JSON: {error}.") from None
    if not isinstance(found, dict):
        raise VarSpacesError(f"{path.name} must hold a JSON object.")
    return found


def kept_pixels(mask: Sequence[int], height: int, width: int) -> np.ndarray:
    """Where a mask of PIE-Bench lets nothing change, ``(height, width)`` bool.

    The outermost pixels count as changed: the authors do so, because annotations err there.
    """
    import numpy as np

    changed = np.zeros(height * width, bool)
    for start, length in zip(mask[::2], mask[1::2], strict=False):
        changed[max(start, 0) : max(start, 0) + max(length, 0)] = True
    changed = changed.reshape(height, width)
    changed[[0, -1]] = changed[:, [0, -1]] = True
    return ~changed


class FilePictures(Mapping[str, "np.ndarray"]):
    """Pictures by content hash, read when they are asked for."""

    def __init__(self, places: Mapping[str, Path | bytes]) -> None:
        self.places = places

    def __getitem__(self, key: str) -> np.ndarray:
        return as_rgb(read(self.places[key]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)
