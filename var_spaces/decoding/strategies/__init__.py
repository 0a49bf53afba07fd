"""Decoding strategies, one file each; those that choose among candidates are in ``search``."""
