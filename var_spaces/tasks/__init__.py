"""Tasks: inputs of a run, turned into a stream of events."""
