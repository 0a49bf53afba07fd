"""Models of a visitor's own: taught here from a few pictures, kept for the visit, taken home."""
