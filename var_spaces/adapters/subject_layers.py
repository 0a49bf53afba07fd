"""Which layers of a model a subject is learned by (ARBooth, https://arxiv.org/abs/2504.02612)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from var_spaces.errors import VarSpacesError

# Parts of a block that may get weights of their own. Nothing else is ever trained: modulation,
# norms, embeddings, the head and what reads the text stay those of the base model.
PARTS = ("ca", "ffn", "sa")
IT = "<it>"  # the subject, in prompts


@dataclass(frozen=True)
class SubjectLayers:
    """What of a base model has weights of its own.

    Args:
        rows: learned rows of text that stand for the subject, 1..64; published 4.
        ca, ffn, sa: attention to the text, feed-forward part, self-attention of every block.
        rank: of thin matrices on top of the linear layers (LoRA); 0 for whole layers.
        alpha: of LoRA.

    Raises:
        VarSpacesError: if a number is out of range.
    """

    rows: int = 4
    ca: bool = True
    ffn: bool = True
    sa: bool = False
    rank: int = 0
    alpha: float = 8.0

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= 64 or not 0 <= self.rank <= 256 or self.alpha <= 0:
            raise VarSpacesError(
                f"A subject has 1 to 64 rows of text, a rank of 0 to 256 and an alpha above 0, not "
                f"{self.rows}, {self.rank} and {self.alpha}."
            )

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for part in PARTS if getattr(self, part))

    def holds(self, name: str) -> bool:
        """Whether a parameter or module of the base, by its name, lies in a part."""
        found = re.match(r"(?:blocks\.\d+|block_chunks\.\d+\.module\.\d+)\.(\w+)\.", name)
        return bool(found) and found[1] in self.parts
