"""Compiling what a network repeats: its blocks.

A block is compiled once for every length of the sequence and serves all layers. What surrounds the
blocks depends on texts and changes from step to step, so it stays as it is. On a CPU the steps of
small transformers take about two thirds of their time.
"""

from __future__ import annotations

import torch
from torch import nn

from var_spaces.errors import VarSpacesError

LENGTHS = 64  # of sequences, and of texts beside them, that one block may be compiled for


def compile_blocks(network: nn.Module, backend: str = "inductor") -> None:
    """Compile the blocks of a transformer in place; names of weights and results stay.

    Raises:
        VarSpacesError: if the network has no such blocks.
    """
    # the mark of blocks, for all that must treat them as wholes
    blocks = [module for module in network.modules() if hasattr(module, "calls")]
    if not blocks:
        raise VarSpacesError(
            f"--compile is for transformers; {type(network).__name__} has no blocks. Leave it out."
        )
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, LENGTHS)
    for block in blocks:
        block.compile(backend=backend)
