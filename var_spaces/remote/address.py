"""Which cluster draws, as ``VAR_SPACES_ENGINE`` says."""

from __future__ import annotations

import os
import re

from var_spaces.errors import VarSpacesError

ENGINE_VARIABLE = "VAR_SPACES_ENGINE"
ADDRESS = re.compile(r"ray://(auto|[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})")


def address() -> str | None:
    """Address of the cluster that draws, as Ray takes it; None if this process does.

    Raises:
        VarSpacesError: if the variable is no address.
    """
    text = os.environ.get(ENGINE_VARIABLE, "").strip()
    if not text:
        return None
    found = ADDRESS.fullmatch(text)
    if found is None:
        raise VarSpacesError(
            f"{ENGINE_VARIABLE} is '{text[:60]}': give ray://HOST:PORT, the address of a cluster "
            "on which python -m var_spaces.serve runs, or ray://auto on one of its computers."
        )
    return found[1]
