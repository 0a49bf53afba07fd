"""Starts the page: ``python app.py``, ``make demo``, and the entry point of the Space."""

from contextlib import suppress

with suppress(ImportError):  # in a ZeroGPU Space, before anything can touch CUDA
    import spaces  # noqa: F401

from var_spaces.ui.app import main

if __name__ == "__main__":
    main()
