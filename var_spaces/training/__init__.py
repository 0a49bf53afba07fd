"""Data engine and training recipes."""
