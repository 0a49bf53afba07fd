"""Image tokenizers: image <-> multi-scale token maps."""
