"""Networks that look at images instead of making them: CLIP for scores, a parser for facts."""
