"""Fine-tuning to one subject (ARBooth, https://arxiv.org/abs/2504.02612)."""
