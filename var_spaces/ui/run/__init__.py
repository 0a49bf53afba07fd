"""A run on the page: what happens, what is shown of it, what a visitor takes home."""
