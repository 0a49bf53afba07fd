"""Architecture of an Infinity transformer and the published sizes (arXiv 2412.04431)."""

from __future__ import annotations

from dataclasses import dataclass

from var_spaces.errors import VarSpacesError, did_you_mean

# depth, width, heads, chunks, bits of a token, scales of the square list (preset it was trained at)
SIZES: dict[str, tuple[int, int, int, int, int, int]] = {
    "125m": (12, 768, 8, 4, 16, 7),
    "layer16": (16, 1152, 12, 4, 32, 13),
    "layer24": (24, 1536, 16, 4, 32, 13),
    "layer32": (32, 2080, 20, 4, 32, 13),
    "2b": (32, 2048, 16, 8, 32, 13),
    "layer40": (40, 2688, 24, 4, 32, 13),
    "layer48": (48, 3360, 28, 4, 32, 13),
    "8b": (40, 3584, 28, 8, 56, 13),
    "8b-512": (40, 3584, 28, 8, 56, 10),
    "20b": (58, 4608, 36, 1, 32, 13),
}
PATCH_NUMS = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)


@dataclass(frozen=True)
class InfinityConfig:
    """Sizes of an Infinity transformer.

    Args:
        depth, width, heads: blocks, channels *C*, attention heads.
        latent_dim: bits of a token, and channels of its input.
        patch_nums: side of the token maps at 1:1; other aspect ratios follow from them.
        text_dim, text_len: channels of the text features; rows of the learned empty text, the
            longest prompt.
        chunks: groups of blocks in published files; 1 for none.
        mlp_ratio: hidden width over ``width``, rounded to a multiple of 256.
        norm_eps: epsilon of all norms.
        levels: rows of the scale embedding, the most scales a schedule may have.
        pool_heads: heads that pool the text; None is one per 128 text channels (64 if the width
            is above 4096), as published.
        rope_mode, rope_extent: see ``rope.py``.
        special_tokens: 0; cards of earlier versions say so.
        text_blocks: blocks that read the text before all others, see ``text_refiner.py``; 0 as
            published.

    Raises:
        VarSpacesError: if sizes are out of range or do not divide.
    """

    depth: int
    width: int
    heads: int
    latent_dim: int
    patch_nums: tuple[int, ...] = PATCH_NUMS
    text_dim: int = 2048
    text_len: int = 512
    chunks: int = 1
    mlp_ratio: float = 4.0
    norm_eps: float = 1e-6
    levels: int = 15
    pool_heads: int | None = None
    rope_mode: int = 2
    rope_extent: int = 64
    special_tokens: int = 0
    text_blocks: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch_nums", tuple(self.patch_nums))
        if self.pool_heads is None:
            head = 64 if self.width > 4096 else 128
            object.__setattr__(self, "pool_heads", max(self.text_dim // head, 1))
        for name in ("depth", "width", "heads", "latent_dim", "text_dim", "text_len", "chunks"):
            if getattr(self, name) < 1:
                raise VarSpacesError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for whole, part in (("width", "heads"), ("depth", "chunks"), ("width", "pool_heads")):
            if getattr(self, whole) % getattr(self, part):
                raise VarSpacesError(
                    f"{whole} {getattr(self, whole)} is not a multiple of {part} "
                    f"{getattr(self, part)}: change one of them."
                )
        if self.head_dim % 4:
            raise VarSpacesError(
                f"Heads have {self.head_dim} channels; rotary positions need a multiple of 4."
            )
        if len(self.patch_nums) > self.levels:
            raise VarSpacesError(
                f"{len(self.patch_nums)} scales need as many levels, not {self.levels}."
            )
        if self.text_blocks < 0:
            raise VarSpacesError(f"text_blocks is {self.text_blocks}: 0 for none, or more.")
        if self.special_tokens:
            raise VarSpacesError("Rows that stand for a subject belong to an adapter of the model.")
        if self.rope_mode not in (0, 1, 2):
            raise VarSpacesError(f"rope_mode is 0, 1 or 2, not {self.rope_mode}.")

    @classmethod
    def published(cls, name: str) -> InfinityConfig:
        """A size of the paper or of the public code: 125m, 2b, 8b, 8b-512, layer16, ..."""
        if name not in SIZES:
            near = did_you_mean(name, SIZES)
            raise VarSpacesError(f"No Infinity of size '{name}'.{near} Sizes: {', '.join(SIZES)}.")
        depth, width, heads, chunks, bits, scales = SIZES[name]
        return cls(depth, width, heads, bits, PATCH_NUMS[:scales], chunks=chunks)

    @property
    def vocab_size(self) -> int:
        """Values of one bit."""
        return 2

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def hidden(self) -> int:
        """Hidden width of the feed-forward part."""
        return max(round(self.width * self.mlp_ratio / 256), 1) * 256
