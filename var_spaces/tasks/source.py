"""What tasks share that start from a picture of the visitor's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.errors import VarSpacesError
from var_spaces.pictures import digest, fit
from var_spaces.tasks.base import Pictures
from var_spaces.tasks.generate import ClassTask

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule

SHA256 = r"^[0-9a-f]{64}$"


class SourceTask(ClassTask):
    """A task that turns a picture into another one by giving some of its tokens."""

    tab = "edit"

    source: str = Field(
        pattern=SHA256,
        description="content hash of the picture",
        json_schema_extra={"content": "picture"},
    )

    @property
    def needs(self) -> dict[str, str]:
        return {**super().needs, "substitution": "editing puts tokens of the picture in place"}

    def pictures(self) -> dict[str, str | None]:
        """Content hash of every picture it takes, by what it is."""
        return {"picture": self.source}

    def check_pictures(self, pictures: Pictures) -> None:
        for what, key in self.pictures().items():
            if key is None:
                continue
            if key not in pictures:
                raise VarSpacesError(
                    f"The {what} with content hash {key[:16]}... is missing: hand it in again."
                )
            if digest(pictures[key]) != key:
                raise VarSpacesError(f"A picture is not the one its hash {key[:16]}... names.")

    def canvas(self, height: int, width: int, pictures: Pictures) -> np.ndarray:
        """The picture as the model is to see it, ``(height, width, 3)`` uint8."""
        return fit(pictures[self.source], height, width)

    def source_ids(
        self, tokenizer: Any, schedule: ScaleSchedule, pictures: Pictures
    ) -> list[Tensor]:
        """Ids of the picture at every scale, ``[(1, l_k)]``."""
        import torch

        device = next(tokenizer.parameters()).device
        height, width = (side * tokenizer.downsample for side in schedule.last)
        pixels = torch.tensor(self.canvas(height, width, pictures), device=device)
        with torch.no_grad():
            return tokenizer.encode(pixels.permute(2, 0, 1)[None].float() / 127.5 - 1, schedule)
