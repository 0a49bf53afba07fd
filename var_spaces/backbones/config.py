"""Architecture of a VAR transformer: published sizes, and what a weight file tells about itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from var_spaces.errors import VarSpacesError

PATCH_NUMS = {
    256: (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
    512: (1, 2, 3, 4, 6, 9, 13, 18, 24, 32),
    1024: (1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 48, 64),
}
PUBLISHED_DEPTHS = (16, 20, 24, 30, 36)


@dataclass(frozen=True)
class VARConfig:
    """Sizes of a VAR transformer.

    Args:
        depth: number of blocks.
        width: channels *C*; a multiple of ``heads``.
        heads: attention heads.
        vocab_size: codes *V* of the tokenizer.
        latent_dim: channels *z* of the tokenizer's latent.
        num_classes: class labels; one more row means "no class".
        patch_nums: side of the token map of every scale, coarse to fine.
        shared_aln: one condition projection for all blocks (published: d36 only).
        attn_l2_norm: normalise queries and keys (published: all).
        mlp_ratio: hidden width of the feed-forward part over ``width``.
        norm_eps: epsilon of all layer norms.
        drop_path: stochastic depth rate of the last block, 0..1; grows linearly from 0.
        num_styles: labels of a second condition, added to the class; 0 is the published model.

    Raises:
        VarSpacesError: if a size is out of range.
    """

    depth: int
    width: int
    heads: int
    vocab_size: int
    latent_dim: int
    num_classes: int
    patch_nums: tuple[int, ...]
    shared_aln: bool = False
    attn_l2_norm: bool = True
    mlp_ratio: float = 4.0
    norm_eps: float = 1e-6
    drop_path: float = 0.0
    num_styles: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch_nums", tuple(self.patch_nums))
        for name in ("depth", "width", "heads", "vocab_size", "latent_dim", "num_classes"):
            if getattr(self, name) < 1:
                raise VarSpacesError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.width % self.heads:
            raise VarSpacesError(
                f"width {self.width} is not a multiple of heads {self.heads}: each head needs the "
                "same number of channels."
            )
        if self.num_styles < 0:
            raise VarSpacesError(f"num_styles must be 0 or more, not {self.num_styles}.")
        if not 0.0 <= self.drop_path < 1.0:
            raise VarSpacesError(f"drop_path must be in [0, 1), not {self.drop_path}.")
        if not (self.mlp_ratio > 0 and self.norm_eps > 0):
            raise VarSpacesError("mlp_ratio and norm_eps must be greater than 0.")

    @classmethod
    def published(cls, depth: int) -> VARConfig:
        """Configuration of a published model: depth 16, 20, 24, 30 (256 px) or 36 (512 px)."""
        if depth not in PUBLISHED_DEPTHS:
            raise VarSpacesError(
                f"No VAR of depth {depth} was published; choose one of "
                f"{', '.join(map(str, PUBLISHED_DEPTHS))}."
            )
        return cls(
            depth=depth,
            width=64 * depth,
            heads=depth,
            vocab_size=4096,
            latent_dim=32,
            num_classes=1000,
            patch_nums=PATCH_NUMS[512 if depth == 36 else 256],
            shared_aln=depth == 36,
            drop_path=0.1 * depth / 24,
        )

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Tensor],
        *,
        patch_nums: Sequence[int] | None = None,
        heads: int | None = None,
    ) -> VARConfig:
        """Configuration that fits a state dict (tensors on any device, "meta" included).

        Args:
            patch_nums: needed only if the file has no ``lvl_1L`` and its sequence length is not
                that of a published resolution.
            heads: needed only without q/k normalisation and with head widths other than 64.

        Raises:
            VarSpacesError: if the state dict is not that of a VAR or leaves a size open.
        """
        required = ("pos_1LC", "class_emb.weight", "head.weight", "word_embed.weight")
        missing = [key for key in required if key not in state]
        if missing:
            raise VarSpacesError(f"Not a VAR state dict: it has no {', '.join(missing)}.")
        width, latent_dim = state["word_embed.weight"].shape
        scale_mul = state.get("blocks.0.attn.scale_mul_1H11")
        fc1 = state.get("blocks.0.ffn.fc1.weight")
        if fc1 is None:
            raise VarSpacesError("Not a VAR state dict: it has no blocks.0.ffn.fc1.weight.")
        numbers = (re.match(r"blocks\.(\d+)\.", key) for key in state)
        depth = 1 + max(int(match[1]) for match in numbers if match)
        if heads is None:
            heads = scale_mul.shape[1] if scale_mul is not None else max(width // 64, 1)
        styles = state.get("style_emb.weight")
        return cls(
            depth=depth,
            width=width,
            heads=heads,
            vocab_size=state["head.weight"].shape[0],
            latent_dim=latent_dim,
            num_classes=state["class_emb.weight"].shape[0] - 1,
            patch_nums=tuple(patch_nums or patch_nums_of(state)),
            shared_aln="shared_ada_lin.1.weight" in state,
            attn_l2_norm=scale_mul is not None,
            mlp_ratio=fc1.shape[0] / width,
            num_styles=styles.shape[0] - 1 if styles is not None else 0,
        )


def patch_nums_of(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Patch numbers of a VAR state dict, from its level buffer or its sequence length."""
    levels = state.get("lvl_1L")
    if levels is not None and not levels.is_meta:
        return tuple(round(count**0.5) for count in levels.flatten().bincount().tolist())
    length = state["pos_1LC"].shape[1]
    for patch_nums in PATCH_NUMS.values():
        if sum(p * p for p in patch_nums) == length:
            return patch_nums
    raise VarSpacesError(
        f"A sequence of {length} tokens fits no published resolution: give patch_nums."
    )
