"""The bitwise tokenizer gives the numbers of the reference: bits, latents, inputs, images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.infinity import close, flat, schedule_of, tokenizer_of
from var_spaces.decoding.loop.pixels import to_uint8
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig

MANIFESTS = Path(__file__).parent.parent / "golden" / "manifests"


@pytest.mark.golden("infinity_bsq_tokenizer")
def test_tokenizer(golden):
    model = tokenizer_of(golden.spec, golden.state("w."))
    schedule = schedule_of(golden.spec["scale_schedule"])
    assert model.downsample == golden.spec["config"]["patch_size"]
    tensors = golden.tensors
    features = model.latent(tensors["image"])
    close(features, tensors["encoder_out"], golden.spec)
    bits, latents = model.encode_latents(tensors["image"], schedule)
    for k in range(schedule.num_scales):
        assert torch.equal(bits[k], flat(tensors[f"bits_{k}"]))
        close(latents[k], tensors[f"cum_{k}"], golden.spec)
        if k:
            maps = tensors[f"next_input_trilinear_{k}"].flatten(2).transpose(1, 2)
            close(model.next_input(latents[k - 1], k - 1, schedule), maps, golden.spec)
    close(latents[-1], tensors["z_quantized"], golden.spec)
    close(model.decode(latents[-1]), tensors["recon"], golden.spec)
    pixels = torch.from_numpy(to_uint8(model.reconstruct(tensors["image"], schedule))).int()
    assert (pixels - tensors["recon_u8_rgb"].int()).abs().max() <= 1

    forced = [flat(tensors[f"bits_{k}"]) for k in range(schedule.num_scales)]
    expected = [tensors[f"next_input_trilinear_{k}"] for k in range(1, schedule.num_scales)]
    expected = torch.cat([maps.flatten(2).transpose(1, 2) for maps in expected], 1)
    close(model.teacher_forcing(forced, schedule), expected, golden.spec)


@pytest.mark.golden("infinity_bsc")
def test_self_correction(golden):
    config, tensors = golden.spec["config"], golden.tensors
    schedule = schedule_of(golden.spec["scale_schedule"])
    model = Bitwise(BitwiseConfig(ch=32, ch_mult=(1,), bits=config["codebook_dim"]))

    def change(scale, bits):
        if scale >= config["noise_apply_layers"]:
            return bits
        return bits ^ tensors[f"flip_mask_{scale}"].bool()

    bits, latents = model.quantize(tensors["raw_features"], schedule, change)
    assert torch.equal(torch.cat(bits, 1), tensors["gt_bits"].long())
    close(model.inputs(latents, schedule), tensors["x_in"], golden.spec)


@pytest.mark.golden("infinity_patchify")
def test_patchify(golden):
    config, tensors = golden.spec["config"], golden.tensors
    schedule = schedule_of(golden.spec["scale_schedule"])
    fold_config = BitwiseConfig(ch=32, ch_mult=(1,), bits=config["vae_codebook_dim"], patchify=True)
    model = Bitwise(fold_config)
    assert model.latent_dim == config["d_in"]
    bits, latents = model.quantize(tensors["raw_features"], schedule)
    assert torch.equal(torch.cat(bits, 1), tensors["gt_bits"].long())
    close(model.inputs(latents, schedule), tensors["x_in"], golden.spec)
    close(model.teacher_forcing(bits, schedule), tensors["x_in"], golden.spec)

    f_hat = model.new_latent(len(tensors["infer_bits_0"]), schedule, torch.device("cpu"))
    for k in range(schedule.num_scales):
        maps = tensors[f"infer_bits_{k}"].permute(0, 3, 1, 2).bool()
        ids = model.to_tokens(maps)
        f_hat = model.accumulate(f_hat, model.embed(ids), k, schedule)
    close(f_hat, tensors["infer_summed_codes"], golden.spec)


@pytest.mark.parametrize(
    "path", sorted(MANIFESTS.glob("infinity_vae_*.json")), ids=lambda p: p.stem
)
def test_manifest(path):
    """Keys and shapes of published tokenizers, in both spellings."""
    wanted = {key: tuple(shape) for key, (shape, _) in json.loads(path.read_text()).items()}
    meta = json.loads((MANIFESTS / "infinity_manifest_meta.json").read_text())[path.stem]
    with torch.device("meta"):
        model = Bitwise(BitwiseConfig.published(path.stem.removeprefix("infinity_vae_")))
        state = {key: torch.empty(shape) for key, shape in wanted.items()}
    own = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    masks = {"quantizer.lfq.mask", "quantize.lfq.mask"}
    assert own == {key: shape for key, shape in wanted.items() if key not in masks}
    assert sum(p.numel() for p in model.parameters()) == meta["n_parameters"]
    assert model.downsample == 16

    shorter = {
        key.replace(".conv.weight", ".weight")
        .replace(".conv.bias", ".bias")
        .replace(".norm.weight", ".weight")
        .replace(".norm.bias", ".bias"): tensor
        for key, tensor in state.items()
    }
    assert len(shorter) == len(state)
    assert set(shorter) & set(own) == set()
    for spelling in (state, shorter):
        assert set(model.adapt_state({**spelling, "discriminator.x": None})) == set(wanted)
