"""The training loop, its configuration, and what becomes of a run."""
