"""VQBridge and the FVQ recipe against the reference: ``fvq_vqbridge*``, ``fvq_var_quant*``, ..."""

from __future__ import annotations

import pytest
import torch

from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.tokenizers.vqbridge import VQBridgeConfig, bridge, entropy_loss
from var_spaces.training.codebooks.quantizer import ProjectedQuantizer
from var_spaces.training.engine.annealing import annealing


def trained_quantizer(golden, **sizes) -> ProjectedQuantizer:
    """The fixture's quantiser; a projector with learned conditions is the "dit" variant."""
    config, state = golden.spec["config"], golden.state("qbridge.")
    variant = "dit" if "pos_embed" in state else "vit"
    projector = bridge(
        VQBridgeConfig(
            codes=config["K"],
            channels=config["C"],
            patch=config["patch"],
            width=config["hidden"],
            depth=config["depth"],
            heads=config["heads"],
            mlp_ratio=config.get("mlp", 2.0),
            variant=variant,
        )
    )
    model = ResidualVQConfig(
        z_channels=config["C"], vocab_size=config["K"], beta=config["beta"], **sizes
    )
    quantizer = ProjectedQuantizer(model, projector, config.get("ent", 0.0))
    published = ("qbridge.", "quant_resi.")
    weights = {k: v for k, v in golden.tensors.items() if k.startswith(published)}
    weights["embedding.weight"] = golden.tensors["raw_codebook"]
    if not config.get("quant_resi"):  # phi has no part in it
        weights |= quantizer.quant_resi.state_dict(prefix="quant_resi.")
    quantizer.load_state_dict(weights)
    return quantizer


def close(ours: torch.Tensor, theirs: torch.Tensor, atol: float = 0.0, rtol: float = 0.0) -> None:
    torch.testing.assert_close(ours.reshape(theirs.shape), theirs, atol=atol, rtol=rtol)


@pytest.mark.golden("fvq_vqbridge")
def test_projector_and_single_scale_quantiser(golden):
    """One scale without phi is the plain VQ of the reference."""
    config, tensors = golden.spec["config"], golden.tensors
    quantizer = trained_quantizer(
        golden, patch_nums=(config["H"],), quant_resi=0.0, share_quant_resi=1
    )
    schedule = ScaleSchedule(((config["H"], config["W"]),))
    projector = quantizer.qbridge
    for name, fixed in bridge(projector.config).named_buffers():
        close(fixed, tensors[f"qbridge.{name}"], atol=1e-6)

    z = tensors["z"].requires_grad_()
    side = projector.config.side
    image = quantizer.embedding.weight.view(side, side, -1).permute(2, 0, 1)[None]
    tokens = projector.x_embedder(image)
    close(tokens, tensors["tokens_after_patchify"], atol=1e-5)
    close(projector.process(tokens), tensors["tokens_after_blocks"], atol=1e-5)
    codes = quantizer.codes()
    close(codes, tensors["mapped_codebook"], atol=1e-5)

    ids, latents = quantizer.quantize(z, schedule)
    assert torch.equal(ids[0].view_as(tensors["indices"]), tensors["indices"])
    straight = z + (latents[-1] - z).detach()
    close(straight, tensors["z_q"], atol=1e-5)
    z_q = latents[-1]
    close(torch.nn.functional.mse_loss(z_q, z), tensors["vq_loss"], rtol=1e-5)
    commit = config["beta"] * torch.nn.functional.mse_loss(z_q, z)
    close(commit, tensors["commit_loss"], rtol=1e-5)
    entropy = config["ent"] * entropy_loss(quantizer.residuals(z, latents)[0], codes)
    close(entropy, tensors["entropy_loss"], rtol=1e-5, atol=1e-7)

    total = quantizer.vq_loss(z, latents) + (straight * tensors["upstream"]).mean()
    close(total, tensors["total_loss"], rtol=1e-5)
    total.backward()
    gradient = quantizer.embedding.weight.grad
    close(z.grad, tensors["grad_z"], rtol=1e-4, atol=5e-6)
    close(gradient, tensors["grad_raw_codebook"], rtol=1e-4, atol=5e-6)
    last = projector.final_layer.linear.weight.grad
    close(last, tensors["grad_final_linear_weight"], rtol=1e-4, atol=5e-6)
    assert (gradient != 0).any(1).float().mean() == golden.spec[
        "fraction_of_raw_codebook_rows_with_nonzero_gradient"
    ]
    assert len(torch.unique(ids[0])) == golden.spec["distinct_codes_used"]


@pytest.mark.golden("fvq_var_quant")
def test_multi_scale_quantiser(golden):
    config, tensors = golden.spec["config"], golden.tensors
    quantizer = trained_quantizer(
        golden,
        patch_nums=config["pn"],
        quant_resi=config["quant_resi"],
        share_quant_resi=config["share"],
        using_znorm=config["znorm"],
    )
    close(quantizer.codes(), tensors["mapped_codebook"], atol=1e-5)
    f = tensors["f"].requires_grad_()
    # The last scale is the latent itself, whatever its shape.
    coarse = [(side, side) for side in config["pn"][:-1]]
    ids, latents = quantizer.quantize(f, ScaleSchedule((*coarse, tuple(f.shape[-2:]))))
    for scale, ours in enumerate(ids):
        assert torch.equal(ours, tensors[f"idx_scale{scale}"])
    straight = f + (latents[-1] - f).detach()
    close(straight, tensors["f_hat_st"], atol=1e-5)
    both = quantizer.vq_loss(f, latents)
    close(both, tensors["vq_loss"] + tensors["commit_loss"], rtol=1e-5)
    vq = torch.stack([torch.nn.functional.mse_loss(x, f.detach()) for x in latents]).mean()
    close(vq, tensors["vq_loss"], rtol=1e-5)
    (both + straight.sum()).backward()
    close(quantizer.embedding.weight.grad, tensors["grad_raw_codebook"], rtol=1e-4, atol=5e-6)


@pytest.mark.golden("fvq_lr_schedule")
def test_learning_annealing(golden):
    config = golden.spec["config"]
    total = config["epochs"] * config["steps_per_epoch"]
    for shape, short in (("linear", "lin"), ("cosine", "cos"), ("constant", "const")):
        ours = [
            annealing(
                shape,
                step,
                total - 1,
                warmup=config["warmup_ep"] * config["steps_per_epoch"],
                hold=config["T"],
                start=config["wp0"],
                end=config["wpe"],
            )
            for step in golden.tensors["steps"].tolist()
        ]
        theirs = golden.tensors[f"mult_{short}"]
        close(torch.tensor(ours, dtype=torch.float64), theirs, atol=1e-12)
