"""Strategies that draw several candidates and choose."""
