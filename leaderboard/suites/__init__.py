"""Suites: frozen, versioned lists of what to draw and of how to score it."""
