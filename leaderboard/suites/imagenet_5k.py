"""Class-conditional ImageNet at 256 pixels with a tenth of the images, and newer distances."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.density_coverage import Coverage, Density
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.mind import Mind
from leaderboard.references.adm import AdmReference
from leaderboard.references.base import Reference
from leaderboard.suites.base import Suite, grouped
from leaderboard.suites.classes import numbered_items
from var_spaces.methods import register

EACH = 5


@register
class ImageNet5k(Suite):
    """5 images of each of 1000 classes. MIND and the Frechet distance over DINOv2 order models as
    people do better than FID does (arXiv 2605.06797, 2306.04675)."""

    name = "imagenet-5k"
    title = "ImageNet 256 px, 5,000 images"
    paper = "https://arxiv.org/abs/2306.04675"

    version = 3
    task = "generate"
    downloads = (
        "VIRTUAL_imagenet256_labeled.npz (openai/guided-diffusion)",
        "pt_inception-2015-12-05-6726825d.pth (mseitzer/pytorch-fid)",
        "timm/vit_large_patch14_dinov2.lvd142m",
        "alexnet-owt-7be5be79.pth (pytorch.org)",
        "a published class model of 1000 classes; a GPU",
    )

    def items(self) -> Sequence[Item]:
        return numbered_items(range(1000), each=EACH)

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        """All images of a class together, whatever is asked for."""
        return list(grouped(self.items(), EACH))

    def metrics(self) -> tuple[Metric, ...]:
        return (
            Mind(extractor="inception"), Frechet(extractor="dinov2-vit-l-14"),
            Density(extractor="dinov2-vit-l-14"), Coverage(extractor="dinov2-vit-l-14"),
            Frechet(extractor="inception"), Diversity(extractor="lpips-alex"), KvPeak(), Latency(),
        )  # fmt: skip

    def reference(self) -> Reference:
        return AdmReference(side=256)
