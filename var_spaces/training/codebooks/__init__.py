"""Ways to train a codebook: one method is one file of this folder."""
