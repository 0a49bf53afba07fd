"""The engine behind a page: runs of many visitors on the computers of a Ray cluster."""
