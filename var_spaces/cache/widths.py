"""Widths of pooling. No torch here, so that parameters can be checked without it."""

from __future__ import annotations


def odd(kernel: int) -> int:
    """A width of pooling that has a middle.

    Raises:
        ValueError: for an even one.
    """
    if kernel % 2 == 0:
        raise ValueError(f"kernel = {kernel} must be odd.")
    return kernel
