"""Types of settings that say what they may be; :func:`check_types` refuses the rest.

A recipe writes ``eval_images: Count = 256``; a range of its own is
``Annotated[int, Bounds(2, 64)]``.
"""

from __future__ import annotations

from typing import Annotated

from var_spaces.ranges import Bounds, Multiple

Count = Annotated[int, Bounds(low=1)]
Some = Annotated[int, Bounds(low=0)]  # 0: none
Batches = Annotated[int, Bounds(low=64), Multiple(64)]  # images that are looked at 64 at a time
Share = Annotated[float, Bounds(0, 1)]
DropPath = Annotated[float, Bounds(0, 0.5)]  # stochastic depth of the last block
Weight = Annotated[float, Bounds(low=0)]
Minutes = Annotated[float, Bounds(low=0)]  # between two of something; 0: after every step
Positive = Annotated[float, Bounds(low=0, open_low=True)]
Seed = Annotated[int, Bounds(0, 2**31 - 1)]  # what is mixed from it and a step fits 64 bits
