"""Networks that turn images into features, each with its own fixed resize."""
