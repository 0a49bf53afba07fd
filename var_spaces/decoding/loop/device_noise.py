"""The numbers of ``noise.py`` evaluated where the logits are: same bits, no copy from the host.

Philox-4x64-10 (Salmon et al., https://doi.org/10.1145/2063384.2063405) is a function of key and
counter, so any number of a stream can be had alone. Word *w* of a stream is lane ``w % 4`` of the
block with counter ``w // 4 + 1``. Uniform numbers have the bits of the host's; their two logarithms
are the device's own and may differ from the host's in the last place.

``philox_words`` is the rule in tensor operations, on any device. CUDA runs it as one Triton kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
ROUNDS = 10
LOW = 0xFFFFFFFF


def gumbel(generators: Sequence[np.random.Philox], count: int, device: torch.device) -> Tensor:
    """Gumbel noise ``(len(generators), count)`` float32 on a device: what they would begin with."""
    return of_keys(sent([signed_key(each) for each in generators], device), count)


def sent(keys: Sequence[Any], device: torch.device) -> Tensor:
    """Keys ``(..., 2)`` int64 on a device, which the host does not wait for."""
    here = torch.tensor(keys)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here


def of_keys(keys: Tensor, count: int) -> Tensor:
    """Gumbel noise ``(B, count)`` float32 of streams with keys ``(B, 2)`` int64."""
    kernel = _kernel() if keys.is_cuda else None
    if kernel is not None:
        return launch(kernel, keys, count)
    return uniform(keys, count).log_().neg_().log_().neg_()


def signed_key(generator: np.random.Philox) -> list[int]:
    """Low and high half of a generator's key, 64 bits each as signed numbers."""
    return [_signed(int(half)) for half in generator.state["state"]["key"]]


def uniform(keys: Tensor, count: int) -> Tensor:
    """The rule of ``noise.uniform``: ``(B, count)`` float32 in (0, 1), of keys ``(B, 2)`` int64."""
    words = philox_words(keys, -(-count // 8)).flatten(1)
    halves = torch.stack((words & LOW, (words >> 32) & LOW), dim=-1).flatten(1)[:, :count]
    return ((halves >> 9).float() + 0.5) * 2**-23


def philox_words(keys: Tensor, blocks: int) -> Tensor:
    """Words ``(B, blocks, 4)`` of the first blocks of streams with keys ``(B, 2)``; int64 bits."""
    first = torch.arange(1, blocks + 1, device=keys.device).expand(len(keys), -1)
    c = [first, *(torch.zeros_like(first) for _ in range(3))]
    k = [keys[:, :1], keys[:, 1:]]
    for _ in range(ROUNDS):
        high0, low0 = _product(c[0], MULTIPLIERS[0])
        high1, low1 = _product(c[2], MULTIPLIERS[1])
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [key + _signed(step) for key, step in zip(k, KEY_STEPS, strict=True)]
    return torch.stack(c, dim=-1)


def _product(a: Tensor, multiplier: int) -> tuple[Tensor, Tensor]:
    """High and low 64 bits of the unsigned product, by halves of 32 bits; sums wrap as they do."""
    ml, mh = multiplier & LOW, multiplier >> 32
    al, ah = a & LOW, (a >> 32) & LOW
    middle = ah * ml + ((al * ml >> 32) & LOW)
    other = al * mh + (middle & LOW)
    high = ah * mh + ((middle >> 32) & LOW) + ((other >> 32) & LOW)
    return high, a * _signed(multiplier)


def _signed(word: int) -> int:
    """The same 64 bits as a signed number."""
    return word - 2**64 if word >= 2**63 else word


def launch(kernel: Any, keys: Tensor, count: int, block: int = 256) -> Tensor:
    """Run the kernel over all numbers of all keys ``(B, 2)`` int64."""
    noise = torch.empty(len(keys), count, dtype=torch.float32, device=keys.device)
    kernel[(len(keys), -(-count // (8 * block)))](keys, noise, count, block)
    return noise


def _kernel() -> Any:
    """The Triton kernel; None where there is no Triton."""
    try:
        from var_spaces.decoding.loop.noise_kernel import gumbel_kernel
    except ImportError:
        return None
    return gumbel_kernel
