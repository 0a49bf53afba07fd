"""The residual VQ tokenizer against the reference implementation: ``var_vae*``, ``var_quant*``."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from tests.tiny import sides_of
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.residual_vq import (
    MultiScaleQuantizer,
    ResidualVQ,
    ResidualVQConfig,
    nearest_phi,
)

KNOWN = {field.name for field in fields(ResidualVQConfig)}


def config_of(values: dict) -> ResidualVQConfig:
    return ResidualVQConfig(**{k: v for k, v in values.items() if k in KNOWN})


def load(module: torch.nn.Module, state: dict) -> torch.nn.Module:
    known = module.state_dict()
    extra = [k for k in state if k not in known and not k.endswith("ema_vocab_hit_SV")]
    assert not extra
    module.load_state_dict({k: state[k].float() for k in known})
    return module.eval().requires_grad_(False)


class Close:
    def __init__(self, tolerance: dict) -> None:
        self.bounds = {
            "atol": tolerance["float_atol"],
            "rtol": tolerance.get("float_rtol", 0.0),
        }

    def __call__(self, ours: torch.Tensor, theirs: torch.Tensor) -> None:
        torch.testing.assert_close(ours, theirs, **self.bounds)


def per_scale(golden, prefix: str, schedule: ScaleSchedule) -> list[torch.Tensor]:
    return [golden.tensors[f"{prefix}/{k}"] for k in range(schedule.num_scales)]


@pytest.mark.golden("var_vae")
def test_tokenizer(golden):
    config = config_of(golden.spec["config"])
    model = load(ResidualVQ(config), golden.state())
    close, tensors = Close(golden.spec["tolerance"]), golden.tensors
    schedule = model.schedule

    close(model.encoder(tensors["in/image"]), tensors["out/encoder"])
    close(model.latent(tensors["in/image"]), tensors["out/f"])
    ids, latents = model.encode_latents(tensors["in/image"])
    for ours, theirs in zip(ids, per_scale(golden, "out/idx", schedule), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(latents, per_scale(golden, "out/fhat", schedule), strict=True):
        close(ours, theirs)
    close(torch.stack([model.decode(f) for f in latents]), tensors["out/recon_per_scale"])
    close(model.reconstruct(tensors["in/image"]), tensors["out/recon_last"])
    close(model.teacher_forcing(ids), tensors["out/var_input"])


@pytest.mark.golden("var_vae")
def test_accumulation_of_given_tokens(golden):
    model = load(ResidualVQ(config_of(golden.spec["config"])), golden.state())
    close, tensors, schedule = Close(golden.spec["tolerance"]), golden.tensors, model.schedule
    ids = per_scale(golden, "in/rand_idx", schedule)
    f_hat = model.new_latent(len(ids[0]), schedule, torch.device("cpu"))
    for scale in range(schedule.num_scales):
        f_hat = model.accumulate(f_hat, model.embed(ids[scale]), scale, schedule)
        close(f_hat, tensors[f"out/rand_fhat/{scale}"])
        if scale < schedule.num_scales - 1:
            expected = tensors[f"out/rand_next_input/{scale}"].flatten(2).transpose(1, 2)
            close(model.next_input(f_hat, scale, schedule), expected)
    close(model.teacher_forcing(ids), tensors["out/rand_var_input"])
    close(model.decoder(model.post_quant_conv(f_hat)), tensors["out/rand_decoder_raw"])
    close(model.decode(f_hat), tensors["out/rand_image"])


@pytest.mark.golden("var_vae")
def test_training_pass(golden):
    model = load(ResidualVQ(config_of(golden.spec["config"])), golden.state())
    close = Close(golden.spec["tolerance"])
    recon, vq_loss, _ = model(golden.tensors["in/image"])
    close(recon, golden.tensors["out/train_image"])
    close(vq_loss.reshape(1), golden.tensors["out/train_vq_loss"].reshape(1))


@pytest.mark.golden("var_quant")
def test_quantiser_variants(golden):
    close = Close(golden.spec["tolerance"])
    for name, values in golden.spec["variants"].items():
        schedule = sides_of(values["patch_nums"])
        sizes = {"ch": 32, "ch_mult": [1], "num_res_blocks": 1}
        sizes["patch_nums"] = range(1, schedule.num_scales + 1)  # their number counts, for phi
        model = ResidualVQ(config_of({**values, **sizes}))
        load(model.quantize, golden.state(f"state/{name}/"))
        f = golden.tensors[f"in/{name}/f"]
        with torch.no_grad():
            ids, latents = model.quantize.quantize(f, schedule)
            assert torch.equal(torch.cat(ids, dim=1), golden.tensors[f"out/{name}/idx"]), name
            close(latents[-1], golden.tensors[f"out/{name}/fhat_last"])
            close(model.teacher_forcing(ids, schedule), golden.tensors[f"out/{name}/var_input"])
            if f"out/{name}/fhat_all" in golden.tensors:
                first = torch.stack([latent[:1] for latent in latents])
                close(first, golden.tensors[f"out/{name}/fhat_all"])


@pytest.mark.golden("var_quant")
def test_phi_of_every_scale(golden):
    for name, values in golden.spec["variants"].items():
        scales = len(values["patch_nums"])
        config = config_of({**values, "patch_nums": range(1, scales + 1)})
        quantizer = MultiScaleQuantizer(config)
        indices = [nearest_phi(quantizer.quant_resi.count, k / (scales - 1)) for k in range(scales)]
        if config.share_quant_resi != 1:
            assert indices == values["phi_index_per_scale"], name


# VAR specification, table of ties that float64 rounding decides (four shared convolutions).
TIES = {
    5: "01223",
    6: "001233",
    7: "0012233",
    8: "00112233",
    9: "001122233",
    10: "0011122333",
    11: "00011222333",
    12: "000111222333",
    13: "0001112222333",
    14: "00011112222333",
}


@pytest.mark.parametrize("scales", TIES)
def test_phi_ties(scales):
    assert [nearest_phi(4, k / (scales - 1)) for k in range(scales)] == [
        int(c) for c in TIES[scales]
    ]
