"""How near everything is, estimated by a network (Depth Anything V2, arXiv 2406.09414)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.conditioning.controls.base import Control
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
SIDE, PATCH = 518, 14
LONGEST = 4 * SIDE


@register
class Depth(Control):
    """Near is bright: relative inverse depth, from 0 at the farthest to 255 at the nearest point.

    Any depth estimator of transformers that takes ImageNet-normalised pixels; it runs on the CPU.
    """

    name = "depth"
    title = "Depth"
    paper = "https://arxiv.org/abs/2406.09414"
    score = "mse"

    checkpoint: str = Field(
        "depth-anything/Depth-Anything-V2-Small-hf",
        description="repository on the Hub, or a folder",
    )

    def extract(self, picture: np.ndarray) -> np.ndarray:
        import cv2
        import numpy as np
        import torch

        height, width = picture.shape[:2]
        down, across = fitted_size(height, width)
        fitted = cv2.resize(picture, (across, down), interpolation=cv2.INTER_CUBIC)
        pixels = (fitted.astype(np.float32) / 255 - MEAN) / STD
        batch = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
        with torch.no_grad():
            near = _load(self.checkpoint)(pixel_values=batch).predicted_depth[0].numpy()
        shrinks = max(near.shape) > max(height, width)
        way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        near = cv2.resize(near, (width, height), interpolation=way)
        near = (near - near.min()) / (np.ptp(near) or 1)
        return np.rint(near * 255).astype(np.uint8)


def fitted_size(height: int, width: int) -> tuple[int, int]:
    """Pixels that the network sees, whole patches: the shorter side at :data:`SIDE`, and less where
    the longer one would go beyond :data:`LONGEST`, or a strip would need more memory than any
    picture."""
    ratio = min(SIDE / min(height, width), LONGEST / max(height, width))
    down, across = (max(PATCH, round(n * ratio / PATCH) * PATCH) for n in (height, width))
    return down, across


@lru_cache(maxsize=1)
def _load(checkpoint: str) -> Any:
    from transformers import AutoModelForDepthEstimation

    try:
        return AutoModelForDepthEstimation.from_pretrained(checkpoint).eval()
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise VarSpacesError(
            f"Control 'depth' cannot be loaded from {checkpoint}: {reason} Hand in a depth map, or "
            "choose another control."
        ) from None
