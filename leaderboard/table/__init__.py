"""The table that people look at: rows of one protocol, filtered, ranked, and compared by Pareto."""
