"""Architecture of a FlexVAR transformer (https://arxiv.org/abs/2502.20313)."""

from __future__ import annotations

from dataclasses import dataclass

from var_spaces.backbones.config import PATCH_NUMS, VARConfig
from var_spaces.errors import VarSpacesError

PUBLISHED_DEPTHS = (16, 20, 24)


@dataclass(frozen=True)
class FlexVARConfig(VARConfig):
    """Sizes of a FlexVAR transformer; the other fields are those of :class:`VARConfig`.

    Args:
        patch_nums: the usual schedule; a run may draw any other.
        pos_grid: rows and columns of the grid of position embeddings.

    Raises:
        VarSpacesError: if a size is out of range.
    """

    pos_grid: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pos_grid < 1 or self.width % 2:
            raise VarSpacesError(
                f"pos_grid must be at least 1 and width even, not {self.pos_grid} and {self.width}."
            )

    @classmethod
    def published(cls, depth: int) -> FlexVARConfig:
        """Configuration of a published model: depth 16, 20 or 24, trained at 256 px."""
        if depth not in PUBLISHED_DEPTHS:
            raise VarSpacesError(
                f"No FlexVAR of depth {depth} was published; choose one of "
                f"{', '.join(map(str, PUBLISHED_DEPTHS))}."
            )
        return cls(
            depth=depth,
            width=64 * depth,
            heads=depth,
            vocab_size=8912,
            latent_dim=32,
            num_classes=1000,
            patch_nums=PATCH_NUMS[256],
            drop_path=0.1 * depth / 24,
        )
