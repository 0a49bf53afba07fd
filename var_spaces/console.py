"""What programs say: refusals are one ``error: ...`` line, and whatever a console can show."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from var_spaces.errors import VarSpacesError, printable


def reporting(command: Callable[[], int | None]) -> int:
    """Run a program; its refusals become one line.

    Returns:
        The exit code: 0 done, 2 refused, 130 stopped, or what the program returns.
    """
    speak_anywhere()
    try:
        code = command()
        sys.stdout.flush()
    except VarSpacesError as error:
        print("error:", printable(" ".join(str(error).split())), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        place = str(error.filename)[:200]
        print("error:", printable(f"{place}: {error.strerror}."), file=sys.stderr)
        return 2
    return code or 0


def speak_anywhere() -> None:
    """Spell out what a console cannot show (one that is not UTF-8, a file name that is no text)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
