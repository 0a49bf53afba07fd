"""The leaderboard on the page; what it shows is worked out in ``leaderboard/table``."""
