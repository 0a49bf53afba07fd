"""Runs side by side: interleaved events, where and how much they differ, grids, votes, rankings."""
