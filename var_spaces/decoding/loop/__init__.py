"""The scale loop and what a run holds while it walks the scales."""
