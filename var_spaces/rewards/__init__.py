"""Rewards and features that searches look at candidates with, one file each."""
