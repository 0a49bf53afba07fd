"""FlexVAR models built from golden fixtures."""

from __future__ import annotations

from tests.tiny import strict_load
from var_spaces.backbones.flexvar import FlexVAR
from var_spaces.backbones.flexvar_config import FlexVARConfig
from var_spaces.tokenizers.flex_vq import FlexVQ, FlexVQConfig


def tokenizer_of(config: dict, state: dict) -> FlexVQ:
    """The tokenizer of a fixture; a file with the decoder alone leaves the encoder as drawn."""
    sizes = {name: config[name] for name in ("ch", "ch_mult", "num_res_blocks", "z_channels")}
    model = FlexVQ(
        FlexVQConfig(**sizes, vocab_size=config["codebook_size"], latent_dim=config["codebook_dim"])
    )
    own = model.state_dict()
    left_out = {key: own[key] for key in own if key not in state}
    assert all(key.startswith(("encoder.", "quant_conv.")) for key in left_out), sorted(left_out)
    return strict_load(model, {**left_out, **state})


def backbone_of(config: dict, state: dict) -> FlexVAR:
    """The transformer of a fixture."""
    same = ("depth", "mlp_ratio", "num_classes", "vocab_size", "attn_l2_norm", "shared_aln")
    return strict_load(
        FlexVAR(
            FlexVARConfig(
                width=config["embed_dim"],
                heads=config["num_heads"],
                latent_dim=config["Cvae"],
                norm_eps=config["norm_eps"],
                pos_grid=config["pos_grid"],
                patch_nums=(1, 2, 3, 4),
                **{name: config[name] for name in same},
            )
        ),
        state,
    )
