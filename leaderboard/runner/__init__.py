"""Draws the images of a suite, measures them, and writes a result; stops and continues anywhere."""
