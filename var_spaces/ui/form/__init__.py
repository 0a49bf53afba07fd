"""The form of a tab: its fields as data, their controls, pictures that are handed in, examples."""
