"""Gumbel noise by one Triton kernel; the rule is that of ``device_noise.py``."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def gumbel_kernel(keys, noise, count, block: tl.constexpr):
    """Eight numbers of one counter per lane: program (row, part) of a grid ``(B, parts)``."""
    row, part = tl.program_id(0), tl.program_id(1)
    place = part * block + tl.arange(0, block)
    k0 = tl.load(keys + 2 * row).to(tl.uint64, bitcast=True)
    k1 = tl.load(keys + 2 * row + 1).to(tl.uint64, bitcast=True)
    m0 = tl.full((block,), 0xD2E7470EE14C6C93, tl.uint64)
    m1 = tl.full((block,), 0xCA5A826395121157, tl.uint64)
    c0 = (place + 1).to(tl.uint64)
    c1 = tl.zeros((block,), tl.uint64)
    c2 = tl.zeros((block,), tl.uint64)
    c3 = tl.zeros((block,), tl.uint64)
    for _ in tl.static_range(10):
        high0, low0 = tl.umulhi(m0, c0), m0 * c0
        high1, low1 = tl.umulhi(m1, c2), m1 * c2
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 += tl.full((), 0x9E3779B97F4A7C15, tl.uint64)
        k1 += tl.full((), 0xBB67AE8584CAA73B, tl.uint64)
    first = noise + row.to(tl.int64) * count
    _store(first, place * 8, c0, count)
    _store(first, place * 8 + 2, c1, count)
    _store(first, place * 8 + 4, c2, count)
    _store(first, place * 8 + 6, c3, count)


@triton.jit
def _store(first, place, word, count):
    """Noise of both halves of a word, low half first."""
    low = (word & 0xFFFFFFFF) >> 9
    high = word >> 41
    _store_half(first, place, low, count)
    _store_half(first, place + 1, high, count)


@triton.jit
def _store_half(first, place, bits, count):
    u = (bits.to(tl.float32) + 0.5) * 1.1920928955078125e-07
    tl.store(first + place, -tl.log(-tl.log(u)), mask=place < count)
