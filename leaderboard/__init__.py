"""The leaderboard: suites, metrics, a runner, and a store of results that can be run again.

Opening it and listing what it holds imports no torch; running does.
"""
