"""The data engine: sprite atlas, scene records, renderer, samplers and splits."""
