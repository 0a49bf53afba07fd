"""What tasks share that paint a region of a picture anew: in-painting, out-painting, expansion.

Follows VAR's editing demo (https://arxiv.org/abs/2404.02905): tokens of the source picture replace
drawn ones outside the region to be painted. Or CoDe's code (https://arxiv.org/abs/2411.17787): the
latent of the source picture is put back there after every scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from var_spaces.errors import InputError, VarSpacesError
from var_spaces.pictures import check_marked, fit, fit_mask
from var_spaces.tasks.base import Pictures, picture
from var_spaces.tasks.source import SourceTask

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.decoding.substitution import LatentBlending, TokenSubstitution
    from var_spaces.schedule import ScaleSchedule

Rectangle = tuple[float, float, float, float]


class RegionTask(SourceTask):
    """A task that paints a region of a picture.

    The region is a mask (bright = region) or a rectangle. In-painting paints the region and keeps
    the rest; out-painting keeps the region and paints the rest; expansion lays the whole picture
    into the rectangle of a new one, which may have another size, and paints around it.
    """

    mask: str | None = picture("content hash of the region's mask", "mask", optional=True)
    rectangle: Rectangle | None = Field(
        None, description="region as fractions: top, left, bottom, right"
    )
    mode: Literal["in-painting", "out-painting", "expansion"] = Field(
        "in-painting",
        description="paint the region, everything but the region, or around the whole picture, "
        "which is laid into the rectangle",
    )
    composite: bool = Field(
        False, description="put the picture's own pixels back where it was to be kept"
    )

    keeps: Literal["tokens", "latents"] = Field(
        "tokens",
        description="what of the picture stays at every scale: tokens, or latents as in CoDe",
        json_schema_extra={"later": True},
    )

    @model_validator(mode="after")
    def _check(self) -> RegionTask:
        if self.mode == "expansion" and self.rectangle is None:
            raise InputError(
                "The rectangle is missing: say where the whole picture is laid into the new one, "
                "as top, left, bottom, right, from 0 to 1.",
                [["rectangle"]],
            )
        if self.mask is None and self.rectangle is None:
            raise InputError(
                "There is no region yet: mark it in a mask (painted or white on black), or give a "
                "rectangle as top, left, bottom, right, from 0 to 1.",
                [["mask", "rectangle"]],
            )
        if self.mask is not None and self.rectangle is not None:
            raise InputError("There are both a mask and a rectangle: leave one of them out.")
        if self.rectangle is not None:
            top, left, bottom, right = self.rectangle
            if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
                raise VarSpacesError(
                    "the rectangle must be top, left, bottom, right as fractions of the picture, "
                    f"0 to 1 and not empty, not {list(self.rectangle)}."
                )
        return self

    def keep(self, height: int, width: int, pictures: Pictures) -> np.ndarray:
        """Where the source is kept, ``(height, width)`` bool.

        Raises:
            VarSpacesError: if nothing is left to paint, or nothing stays of a region to keep.
        """
        if self.mask is not None:
            check_marked(pictures[self.mask])
            region = fit_mask(pictures[self.mask], height, width)
        else:
            region = rectangle_mask(self.rectangle, height, width)
        keep = ~region if self.mode == "in-painting" else region
        if keep.all():
            raise VarSpacesError(
                "The region to paint covers less than half of every token: make it larger."
            )
        if self.mode != "in-painting" and not keep.any():
            raise VarSpacesError(
                "The region to keep covers less than half of every token: make it larger."
            )
        return keep

    def check_pictures(self, schedule: ScaleSchedule, downsample: int, pictures: Pictures) -> None:
        if self.mask is not None:
            self._check_shapes(pictures)
        height, width = schedule.last
        self.keep(height, width, pictures)
        height, width = height * downsample, width * downsample
        self.keep(height, width, pictures)  # a thin region may have a row of tokens, and no pixel

    def _check_shapes(self, pictures: Pictures) -> None:
        """Refuse a mask that does not lie on its picture: of each the middle is taken."""
        (h, w), (tall, wide) = pictures[self.source].shape[:2], pictures[self.mask].shape
        if min(abs(wide - w * tall / h), abs(tall - h * wide / w)) > 1:  # pixels of the mask
            raise VarSpacesError(
                f"The mask is {wide}x{tall} pixels, its picture {w}x{h}: a mask has the shape of "
                "its picture, in any size. Cut or turn both alike."
            )

    def kept(self, height: int, width: int, pictures: Pictures) -> np.ndarray:
        return self.keep(height, width, pictures)

    def substitution(
        self, tokenizer: Any, schedule: ScaleSchedule, pictures: Pictures
    ) -> TokenSubstitution | None:
        from var_spaces.decoding.substitution import TokenSubstitution

        if self.keeps == "latents":
            return None
        return TokenSubstitution(*self._kept_source(tokenizer, schedule, pictures))

    def blending(
        self, tokenizer: Any, schedule: ScaleSchedule, pictures: Pictures
    ) -> LatentBlending | None:
        from var_spaces.decoding.substitution import LatentBlending

        if self.keeps == "tokens":
            return None
        return LatentBlending(*self._kept_source(tokenizer, schedule, pictures))

    def _kept_source(
        self, tokenizer: Any, schedule: ScaleSchedule, pictures: Pictures
    ) -> tuple[Any, list[Tensor], Tensor, ScaleSchedule]:
        """Tokenizer, ids of the source, where they stay, and schedule."""
        import torch

        ids = self.source_ids(tokenizer, schedule, pictures)
        keep = torch.from_numpy(self.keep(*schedule.last, pictures))
        return tokenizer, ids, keep, schedule

    def finish(self, image: np.ndarray, pictures: Pictures) -> np.ndarray:
        if not self.composite:
            return image
        height, width = image.shape[:2]
        keep = self.keep(height, width, pictures)[..., None]
        return np.where(keep, self.canvas(height, width, pictures), image)

    def canvas(self, height: int, width: int, pictures: Pictures) -> np.ndarray:
        if self.mode != "expansion":
            return super().canvas(height, width, pictures)
        rows, columns = self._inside(height, width)
        whole = fit(pictures[self.source], len(rows), len(columns))
        around = [(at[0], size - 1 - at[-1]) for at, size in ((rows, height), (columns, width))]
        # What lies outside is painted; the outermost pixels disturb coarse tokens least.
        return np.pad(whole, [*around, (0, 0)], mode="edge")

    def _inside(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the rectangle."""
        inside = rectangle_mask(self.rectangle, height, width)
        return np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))


def rectangle_mask(rectangle: Rectangle, height: int, width: int) -> np.ndarray:
    """True inside: rows ``round(top * height)`` up to before ``round(bottom * height)``, columns
    alike, rounded half to even."""
    top, left, bottom, right = rectangle
    mask = np.zeros((height, width), dtype=bool)
    rows = slice(round(top * height), round(bottom * height))
    mask[rows, round(left * width) : round(right * width)] = True
    return mask
