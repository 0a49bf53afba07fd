"""The scale loop, sampling, guidance and decoding strategies."""
