"""Learning content and style of one picture, CSD-VAR."""
