"""COCO 2017 validation: 5000 images from the first caption of each picture.

Quality against the pictures, and, as ScaleKV measures it, fidelity to the full cache.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from leaderboard.extractors.files import data_file
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.kv_bytes import KvHistory, KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.lpips import Lpips
from leaderboard.metrics.psnr import Psnr
from leaderboard.metrics.token_agreement import TokenAgreement
from leaderboard.references.base import Reference
from leaderboard.references.image_folder import ImageFolder
from leaderboard.suites.base import Suite
from var_spaces.methods import register

NAME = "coco/annotations/captions_val2017.json"
CAPTIONS_URL = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
IMAGES_URL = "http://images.cocodataset.org/zips/val2017.zip"


@register
class Coco5k(Suite):
    """In the order of the image ids; the caption of an image is the one of lowest id."""

    name = "coco-5k"
    title = "COCO 2017 validation, 5000 captions"
    paper = "https://arxiv.org/abs/2505.19602"

    version = 1
    task = "text-to-image"
    against_full = True
    downloads = (
        "captions_val2017.json and val2017 (cocodataset.org)",
        "pt_inception-2015-12-05-6726825d.pth (mseitzer/pytorch-fid)",
        "alexnet-owt-7be5be79.pth (pytorch.org)",
        "timm/vit_large_patch14_clip_224.openai and timm/vit_large_patch14_clip_336.openai",
        "a published text model; a GPU",
    )

    def items(self) -> Sequence[Item]:
        path = data_file(NAME, CAPTIONS_URL)
        found: dict[int, str] = {}
        captions = json.loads(path.read_text("utf-8"))["annotations"]
        for caption in sorted(captions, key=lambda one: one["id"]):
            found.setdefault(caption["image_id"], " ".join(caption["caption"].split()))
        return [
            Item(index, {"prompt": found[image]}, {"caption": found[image]})
            for index, image in enumerate(sorted(found))
        ]

    def metrics(self) -> tuple[Metric, ...]:
        return (
            Frechet(extractor="inception"), Cmmd(extractor="clip-vit-l-14-336"),
            ClipScore(extractor="clip-vit-l-14"), Psnr(), Lpips(), TokenAgreement(), KvHistory(),
            KvPeak(), Latency(),
        )  # fmt: skip

    def reference(self) -> Reference:
        return ImageFolder(folder="coco/val2017", url=IMAGES_URL)
