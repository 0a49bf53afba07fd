"""Next-scale transformers."""
