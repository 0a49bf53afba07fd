"""The page: forms, screens and endpoints, all built from the classes of tasks and methods."""
