"""What models exist (cards), how they load (checkpoints), what is in memory (residency)."""
