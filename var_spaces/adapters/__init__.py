"""What a task adds to a backbone: one file per method."""
