"""Endpoints for programs: the same runs without the page."""
