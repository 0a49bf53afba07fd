"""The detector of GenEval: Mask2Former with Swin-S, instances of COCO; colours by CLIP ViT-L/14.

Cheng et al. 2022 (arXiv 2112.01527), in transformers' port of the published weights; the original
benchmark runs mmdetection's. Of ten colours, the one whose prompts are nearest to the crop on grey.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import digest, hub_file, need
from leaderboard.extractors.open_clip_models import VitL14
from leaderboard.metrics.geneval import Detected
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np
    import torch

REPOSITORY = "facebook/mask2former-swin-small-coco-instance"
FILES = ("model.safetensors", "config.json", "preprocessor_config.json")
LEAST, LEAST_COUNTING, MOST = 0.3, 0.9, 16  # scores, objects per class
COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white",
)  # fmt: skip
TEMPLATES = ("a photo of a {c} {n}", "a photo of a {c}-colored {n}", "a photo of a {c} object")
GREY = 0x99


@register
class Mask2FormerSwinS(Extractor):
    """Objects, not features: see ``leaderboard.metrics.geneval``."""

    name = "mask2former-swin-s"
    title = "Mask2Former Swin-S (COCO)"
    paper = "https://arxiv.org/abs/2112.01527"

    resize: ClassVar[str] = "its own"
    dim: ClassVar[int] = 0

    def weights_sha256(self) -> str:
        need("scipy", "scipy")  # transformers makes its training loss with it, always
        parts = digest(hub_file(REPOSITORY, *FILES)), VitL14().weights_sha256()
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def load(self, device: torch.device) -> Mask2FormerNetwork:
        folder = hub_file(REPOSITORY, *FILES).parent
        return Mask2FormerNetwork(str(folder), VitL14().load(device), device)


class Mask2FormerNetwork:
    """Detector and colours.

    Args:
        folder: model folder of transformers.
        clip: reads crops and colour prompts.
    """

    def __init__(self, folder: str, clip: Any, device: torch.device) -> None:
        from transformers import AutoImageProcessor, Mask2FormerForUniversalSegmentation

        self.model = Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval().to(device)
        self.process = AutoImageProcessor.from_pretrained(folder)
        self.clip, self.device = clip, device

    def detect(self, image: np.ndarray, metadata: Mapping[str, Any]) -> list[Detected]:
        """Objects of an image ``(H, W, 3)`` uint8, best first, at most 16 per class."""
        import torch

        least = LEAST_COUNTING if metadata.get("tag") == "counting" else LEAST
        inputs = self.process(images=image, return_tensors="pt").to(self.device)
        with torch.no_grad():
            outputs = self.model(**inputs)
        (found,) = self.process.post_process_instance_segmentation(
            outputs, threshold=least, target_sizes=[image.shape[:2]], return_binary_maps=True
        )
        if not found["segments_info"]:
            return []  # then there are no maps either
        coloured = {c["class"] for c in metadata.get("include", ()) if "color" in c}
        objects, count = [], {}
        best_first = sorted(
            zip(found["segments_info"], found["segmentation"], strict=True),
            key=lambda pair: -pair[0]["score"],
        )
        for info, mask in best_first:
            name = self.model.config.id2label[info["label_id"]]
            mask = mask.cpu().numpy().astype(bool)
            count[name] = count.get(name, 0) + 1
            if count[name] <= MOST and mask.any():
                colour = self.colour(image, mask, name) if name in coloured else ""
                objects.append(Detected(name, box_of(mask), colour))
        return objects

    def colour(self, image: np.ndarray, mask: np.ndarray, name: str) -> str:
        """The nearest of ten colours."""
        import numpy as np

        left, top, right, bottom = map(int, box_of(mask))
        crop = np.where(mask[..., None], image, np.uint8(GREY))[top : bottom + 1, left : right + 1]
        prompts = [t.format(c=c, n=name) for c in COLOURS for t in TEMPLATES]
        texts = self.clip.texts(prompts).reshape(len(COLOURS), len(TEMPLATES), -1).mean(1)
        texts /= np.linalg.norm(texts, axis=1, keepdims=True)
        return COLOURS[int((texts @ self.clip(crop[None])[0]).argmax())]


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the true pixels."""
    ys, xs = mask.nonzero()
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())
