"""Reference batches of OpenAI's guided-diffusion: what published ImageNet FIDs compare with.

Dhariwal & Nichol 2021 (arXiv 2105.05233). A file holds mean and covariance of the Inception
features of the whole training set, pooled and spatial (for sFID), and 10,000 images that precision
and recall use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from leaderboard.extractors.files import data_file, digest
from leaderboard.references.base import Reference
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor

FILES = {256: "VIRTUAL_imagenet256_labeled.npz", 512: "VIRTUAL_imagenet512.npz"}
URL = "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/imagenet"
BATCH = 50
STATISTICS = {"inception": "", "inception-spatial": "_s"}  # ends of their names in a file


@register
class AdmReference(Reference):
    """ImageNet at 256 or 512 pixels."""

    name = "adm-imagenet"
    title = "Reference batch of guided-diffusion, ImageNet"
    paper = "https://arxiv.org/abs/2105.05233"

    side: Literal[256, 512] = Field(256, description="pixels along a side")

    @property
    def path(self):
        name = FILES[self.side]
        return data_file(name, f"{URL}/{self.side}/{name}")

    @property
    def identity(self) -> str:
        return f"adm-imagenet({self.side} {digest(self.path)[:8]})"

    def images(self) -> Iterator[np.ndarray]:
        import numpy as np

        with np.load(self.path) as data:
            images = data["arr_0"]
        for start in range(0, len(images), BATCH):
            yield images[start : start + BATCH]

    def statistics(self, extractor: Extractor) -> tuple[np.ndarray, np.ndarray] | None:
        import numpy as np

        tail = STATISTICS.get(extractor.name)
        if tail is None:
            return None
        with np.load(self.path) as data:
            return tuple(data[f"{name}{tail}"].astype(np.float64) for name in ("mu", "sigma"))
