"""Architecture of an HMAR transformer: published sizes, and the way between its files and VAR's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from torch import Tensor

from var_spaces.backbones.config import VARConfig
from var_spaces.errors import VarSpacesError

PUBLISHED_DEPTHS = (16, 20, 24, 30)
State = dict[str, Tensor]


@dataclass(frozen=True)
class HMARConfig(VARConfig):
    """Sizes of an HMAR transformer: those of :class:`VARConfig`, and one more.

    ``depth`` counts the blocks that a token passes, shared ones and those of one branch.

    Args:
        branch: blocks of each of the two branches (published: 8).

    Raises:
        VarSpacesError: if a size is out of range.
    """

    branch: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.branch <= self.depth:
            raise VarSpacesError(
                f"branch must be 1 to depth ({self.depth}) blocks, not {self.branch}."
            )

    @classmethod
    def published(cls, depth: int) -> HMARConfig:
        """Configuration of a published model: depth 16, 20, 24 or 30, all 256 px."""
        if depth not in PUBLISHED_DEPTHS:
            raise VarSpacesError(
                f"No HMAR of depth {depth} was published; choose one of "
                f"{', '.join(map(str, PUBLISHED_DEPTHS))}."
            )
        return cls.branching(VARConfig.published(depth), 8)

    @classmethod
    def branching(cls, config: VARConfig, branch: int) -> HMARConfig:
        """A VAR whose last ``branch`` blocks exist twice."""
        return cls(**{f.name: getattr(config, f.name) for f in fields(VARConfig)}, branch=branch)

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Tensor],
        *,
        patch_nums: Sequence[int] | None = None,
        heads: int | None = None,
    ) -> HMARConfig:
        """Configuration that fits a published state dict; see :meth:`VARConfig.from_state_dict`."""
        branch = count_blocks(state, "ns_blocks")
        if not branch:
            raise VarSpacesError("Not an HMAR state dict: it has no ns_blocks.")
        config = VARConfig.from_state_dict(
            next_scale_state(state), patch_nums=patch_nums, heads=heads
        )
        return cls.branching(config, branch)


def count_blocks(state: Mapping[str, Tensor], stack: str) -> int:
    """Blocks of a stack, e.g. ``"ns_blocks"``."""
    numbers = (re.match(rf"{stack}\.(\d+)\.", key) for key in state)
    return 1 + max((int(match[1]) for match in numbers if match), default=-1)


def merge(next_scale: Mapping[str, Tensor], masked: Mapping[str, Tensor], branch: int) -> State:
    """One HMAR state from the two models that training leaves, both in the layout of VAR.

    Args:
        next_scale: predicts the next scale; all but the mask branch comes from it.
        masked: fine-tuned from it to predict masked tokens; has ``mask_embed.weight`` as well.
        branch: blocks that the fine-tuning changed, counted from the last.
    """
    split = count_blocks(next_scale, "blocks") - branch
    merged = {}
    for key, tensor in next_scale.items():
        merged[_branch_key(key, split, "ns")] = tensor
    for key, tensor in masked.items():
        renamed = _branch_key(key, split, "mask")
        if renamed.startswith("mask_"):
            merged[renamed] = tensor
    return merged


def next_scale_state(state: Mapping[str, Tensor]) -> State:
    """The path that predicts the next scale, in the layout of VAR."""
    split = count_blocks(state, "base_blocks")
    layout = {}
    for key, tensor in state.items():
        if key.startswith("mask_"):
            continue
        key = key.replace("base_blocks.", "blocks.").replace("ns_head", "head")
        key = "word_embed.bias" if key == "word_embed_bias" else key
        if match := re.match(r"ns_blocks\.(\d+)\.", key):
            key = f"blocks.{split + int(match[1])}.{key[match.end() :]}"
        layout[key] = tensor
    return layout


def _branch_key(key: str, split: int, branch: str) -> str:
    """The key of a VAR parameter in an HMAR, if its last blocks and head are those of a branch."""
    if key == "word_embed.bias":
        return "word_embed_bias"
    if key.startswith(("head.", "head_nm.")):
        return f"{branch}_{key}"
    if match := re.match(r"blocks\.(\d+)\.", key):
        number, rest = int(match[1]), key[match.end() :]
        late = number >= split
        return f"{branch}_blocks.{number - split}.{rest}" if late else f"base_blocks.{key[7:]}"
    return key
