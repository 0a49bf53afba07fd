"""Class-conditional ImageNet at 256 pixels, as the papers of the VAR family report it."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.density_coverage import Coverage, Density
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.inception_score import InceptionScore
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.precision_recall import Precision, Recall
from leaderboard.references.adm import AdmReference
from leaderboard.references.base import Reference
from leaderboard.suites.base import Suite
from leaderboard.suites.classes import numbered_items
from var_spaces.methods import register


@register
class ImageNet256(Suite):
    """50 images of each of 1000 classes, 50,000 in all, never compressed; pixels are
    round(127.5 (x + 1)). Scores come from the PyTorch port of the reference network."""

    name = "imagenet-256"
    title = "ImageNet 256 px, FID-50k"
    paper = "https://arxiv.org/abs/2404.02905"

    version = 2
    task = "generate"
    downloads = (
        "VIRTUAL_imagenet256_labeled.npz (openai/guided-diffusion)",
        "pt_inception-2015-12-05-6726825d.pth (mseitzer/pytorch-fid)",
        "a published class model of 1000 classes; a GPU",
    )

    def items(self) -> Sequence[Item]:
        return numbered_items(range(1000), each=50)

    def metrics(self) -> tuple[Metric, ...]:
        return (
            Frechet(extractor="inception"),
            Frechet(extractor="inception-spatial"),
            InceptionScore(splits=10, shuffle=True),
            Precision(extractor="inception"),
            Recall(extractor="inception"),
            Density(extractor="inception"),
            Coverage(extractor="inception"),
            KvPeak(),
            Latency(),
        )

    def reference(self) -> Reference:
        return AdmReference(side=256)
