"""What tasks share that start from a picture of the visitor's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from var_spaces.pictures import fit
from var_spaces.tasks.base import Pictures, Task, picture

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule


class SourceTask(Task):
    """A task that turns a picture into another one by giving some of its tokens.

    A base class beside that of the condition: ``class Edit(SourceTask, ClassTask)``.
    """

    tab = "edit"
    edits = True

    source: str = picture("content hash of the picture")

    @property
    def needs(self) -> dict[str, str]:
        return {**super().needs, "substitution": "editing puts tokens of the picture in place"}

    def canvas(self, height: int, width: int, pictures: Pictures) -> np.ndarray:
        """The picture as the model is to see it, ``(height, width, 3)`` uint8."""
        return fit(pictures[self.source], height, width)

    def beside(self, height: int, width: int, pictures: Pictures) -> np.ndarray:
        return self.canvas(height, width, pictures)

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
