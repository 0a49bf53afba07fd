"""Attention under any mask, to compare with."""

import torch.nn.functional as F
from torch import Tensor

from var_spaces.cache.beside import Attend


def masked_attend(mask: Tensor) -> Attend:
    """Attention of a whole sequence under a mask ``(L, L)``, bool or to add."""

    def attend(q, k, v, scale, raw=None, beside=None):
        assert beside is None
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)

    return attend
