"""Runs side by side: columns, grids, blind battles."""
