"""Matrices on disk in eight bits: a code per weight, and per row the largest magnitude.

For files only: they are half as large as in float16, and every reader gets floating-point numbers.
A row's weights are ``codes / 127 * largest``, off by about half of a code's step at most.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError

LARGEST = ".row_max"  # name of the magnitudes, after that of the matrix
CODES = 127
SMALLEST = 1024  # numbers of a tensor that is worth it


def packed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with large matrices and kernels as int8 codes, and their rows' magnitudes."""
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim < 2 or tensor.numel() < SMALLEST or not tensor.is_floating_point():
            out[name] = tensor
            continue
        rows = tensor.detach().float().flatten(1)
        largest = rows.abs().amax(1).to(torch.float16)  # codes are for what the file holds
        step = largest.float().clamp_min(2**-24).div(CODES)
        codes = (rows / step[:, None]).round().clamp_(-CODES, CODES)
        out[name] = codes.to(torch.int8).view(tensor.shape)
        out[name + LARGEST] = largest
    return out


def unpacked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as :func:`packed` was given them, float32 where they were codes.

    Raises:
        VarSpacesError: if magnitudes do not belong to a matrix of codes.
    """
    out = dict(state)
    for name in [name for name in state if name.endswith(LARGEST)]:
        matrix, largest = name.removesuffix(LARGEST), out.pop(name)
        codes = out.get(matrix)
        if codes is None or codes.dtype != torch.int8 or largest.shape != codes.shape[:1]:
            raise VarSpacesError(
                f"'{name[:80]}' holds one number per row of '{matrix[:80]}', which is no matrix of "
                "int8 codes with so many rows: the weight file is damaged."
            )
        step = largest.float().div(CODES).view(-1, *[1] * (codes.ndim - 1))
        out[matrix] = codes.float().mul_(step)
    return out
