"""Zero-shot editing by token substitution, against the reference's editing procedure."""

import pytest
import torch

from tests import tiny
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.substitution import TokenSubstitution, keep_masks
from var_spaces.tasks.region import rectangle_mask


@pytest.fixture(scope="module")
def models(golden):
    stem = golden.spec["vae_weights"]["file"].removesuffix(".safetensors")
    model = golden.spec["model"]["file"].removesuffix(".safetensors")
    return tiny.tokenizer(golden.folder, stem), tiny.backbone(golden.folder, model)


def cases(golden):
    return sorted({name.split("/")[1] for name in golden.tensors if name.endswith("/mask")})


@pytest.mark.golden("var_edit_")
def test_source_ids_and_masks(golden, models):
    vq, var = models
    tensors = golden.tensors
    with torch.no_grad():
        ids = vq.encode(tensors["in/image"])
    for scale, got in enumerate(ids):
        assert torch.equal(got, tensors[f"in/src_idx/{scale}"])
    assert cases(golden)
    for case in cases(golden):
        keep = torch.cat(keep_masks(tensors[f"in/{case}/mask"], var.schedule), 1)
        want = tensors[f"out/{case}/keep"].bool()
        assert torch.equal(keep.expand_as(want), want)


@pytest.mark.golden("var_edit_")
def test_rectangle_rule(golden, models):
    rect, last = golden.spec["config"]["rect"], models[1].schedule.last
    inside = rectangle_mask(tuple(rect[key] for key in ("y0", "x0", "y1", "x1")), *last)
    want = golden.tensors
    assert (inside == want["in/outpaint/mask"].bool().numpy()).all()
    assert (~inside == want["in/inpaint/mask"].bool().numpy()).all()


@pytest.mark.golden("var_edit_")
def test_edit(golden, models):
    vq, var = models
    want, config, tolerance = golden.tensors, golden.spec["config"], golden.spec["tolerance"]
    source = [want[f"in/src_idx/{scale}"] for scale in range(var.schedule.num_scales)]
    labels = tuple(want["in/label"].tolist())
    for case in cases(golden):
        seen = {}
        setup = tiny.setup(
            range(len(labels)),
            tokenizer=vq,
            backbone=var,
            schedule=var.schedule,
            conditioning=ClassConditioning(labels),
            sampling=TopKTopP(
                top_k=config["top_k"], top_p=config["top_p"], smooth=config["more_smooth"]
            ),
            guidance=LinearGuidance(scale=float(config["cfg"])),
            substitution=TokenSubstitution(vq, source, want[f"in/{case}/mask"], var.schedule),
            observe=lambda what, scale, t, seen=seen: seen.setdefault(what, []).append(t),
        )
        tiny.drain(loop.run(setup))
        assert torch.equal(torch.cat(seen["drawn_ids"], 1), want[f"out/{case}/model_ids"])
        assert torch.equal(torch.cat(seen["ids"], 1), want[f"out/{case}/effective_ids"])
        image = (vq.decode(seen["f_hat"][-1]) + 1) / 2
        for got, name, limit in (
            (seen["logits"][-1], "cfg_logits_last", tolerance["float_atol"]),
            (seen["f_hat"][-1], "fhat_last", tolerance["float_atol"]),
            (image, "image", tolerance["image_atol"]),
        ):
            torch.testing.assert_close(got, want[f"out/{case}/{name}"], atol=limit, rtol=0)
