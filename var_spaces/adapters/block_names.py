"""Names of the blocks of Infinity: some files number them through, others by chunk and place."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from var_spaces.backbones.infinity_config import InfinityConfig

CHUNKED = re.compile(r"block_chunks\.(\d+)\.module\.(\d+)\.(.*)")


def numbered(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors with blocks numbered through, and per-head factors in their usual shape."""
    found = {key: CHUNKED.fullmatch(key) for key in state}
    size = max((int(match[2]) + 1 for match in found.values() if match), default=1)
    spelled = {}
    for key, value in state.items():
        if match := found[key]:
            key = f"blocks.{int(match[1]) * size + int(match[2])}.{match[3]}"
        if key.endswith("scale_mul_1H11"):
            value = value.reshape(1, -1, 1, 1)
        spelled[key] = value
    return spelled


def own_name(name: str, config: InfinityConfig) -> str:
    """``blocks.5.ca`` as a model of this configuration calls it."""
    if config.chunks == 1:
        return name
    _, number, rest = name.split(".", 2)
    chunk, place = divmod(int(number), config.depth // config.chunks)
    return f"block_chunks.{chunk}.module.{place}.{rest}"
