"""Where the page listens, and whom its server believes."""

from __future__ import annotations

import os
import socket

from var_spaces.errors import VarSpacesError

VARIABLE = "GRADIO_SERVER_PORT"
HIGHEST = 65_535


def port() -> int | None:
    """The port that is asked for, which is free; None if any from 7860 on will do.

    Raises:
        VarSpacesError: if it is no port, or in use: a page that moves quietly is not found.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= HIGHEST):
        raise VarSpacesError(
            f"{VARIABLE} is '{text[:40]}': give a whole number from 1 to {HIGHEST}."
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            raise VarSpacesError(
                f"Port {text} cannot be used ({error.strerror}): choose another one with "
                f"{VARIABLE}, or leave it out to take the first free one from 7860 on."
            ) from None
    return int(text)


def no_forwarding() -> None:
    """The web server believes no ``X-Forwarded-For``, not even from this computer: see
    ``address.py``. Who sets its own variable decides otherwise."""
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "")
