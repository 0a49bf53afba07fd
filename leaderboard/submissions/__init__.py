"""Submissions: asked for in the browser or by file, worked off by anyone, verified, then a row."""
