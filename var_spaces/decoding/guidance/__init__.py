"""Guidance rules, one file each."""
