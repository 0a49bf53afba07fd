"""Runs on other computers: which engine draws, and how it is asked."""
