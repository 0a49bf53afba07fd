"""COCO 2017 validation: captions drawn along control maps of their pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard.extractors.files import data_file
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.control_f1 import ControlF1
from leaderboard.metrics.control_mse import ControlMse
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.references.base import Reference
from leaderboard.references.image_folder import ImageFolder
from leaderboard.suites.base import Suite
from leaderboard.suites.coco_5k import CAPTIONS_URL, IMAGES_URL, NAME
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

KINDS = ("canny", "depth", "scribble", "blur", "grey", "palette")
FOLDER = "coco/val2017"


@register
class CocoControl(Suite):
    """5000 pictures in the order of their ids, with the first caption of each; the kinds of control
    go round, so that every sixth picture has the same."""

    name = "coco-control"
    title = "COCO 2017 validation along control maps, 5000 images"
    paper = "https://arxiv.org/abs/2510.14882"

    version = 1
    task = "control"
    downloads = (
        "captions_val2017.json and val2017 (cocodataset.org)",
        "pt_inception-2015-12-05-6726825d.pth (mseitzer/pytorch-fid)",
        "timm/vit_large_patch14_clip_224.openai and timm/vit_large_patch14_clip_336.openai",
        "depth-anything/Depth-Anything-V2-Small-hf",
        "a published text model with a control adapter; a GPU",
    )

    def items(self) -> Sequence[Item]:
        path = data_file(NAME, CAPTIONS_URL)
        captions: dict[int, str] = {}
        for caption in sorted(json.loads(path.read_text("utf-8"))["annotations"], key=_id):
            captions.setdefault(caption["image_id"], " ".join(caption["caption"].split()))
        hashes = {file: key for key, file in _files().items()}
        found = []
        for index, image in enumerate(sorted(captions)):
            picture = hashes[f"{image:012d}.jpg"]
            control = {"control": KINDS[index % len(KINDS)], "source": picture}
            facts = {"caption": captions[image], "picture": picture}
            found.append(Item(index, {"prompt": captions[image], **control}, facts))
        return found

    def metrics(self) -> tuple[Metric, ...]:
        return (
            ControlF1(), ControlMse(), Frechet(extractor="inception"),
            Cmmd(extractor="clip-vit-l-14-336"), ClipScore(extractor="clip-vit-l-14"), KvPeak(),
            Latency(),
        )  # fmt: skip

    def reference(self) -> Reference:
        return ImageFolder(folder=FOLDER, url=IMAGES_URL)

    def pictures(self) -> Mapping[str, np.ndarray]:
        return _Pictures(data_file(FOLDER, IMAGES_URL), _files())


def _id(caption: Mapping[str, int]) -> int:
    return caption["id"]


class _Pictures(Mapping):
    """Pictures of a folder by content hash, read when they are looked at."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder, self.files = folder, files

    def __getitem__(self, key: str) -> np.ndarray:
        return _read(self.folder / self.files[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


@lru_cache(maxsize=1)
def _files() -> Mapping[str, str]:
    """Names of the pictures by content hash; reads them all, once."""
    from var_spaces.pictures import digest

    folder = data_file(FOLDER, IMAGES_URL)
    return {digest(_read(path)): path.name for path in sorted(folder.glob("*.jpg"))}


def _read(path: Path) -> np.ndarray:
    from var_spaces.pictures import as_rgb, read

    return as_rgb(read(path))
