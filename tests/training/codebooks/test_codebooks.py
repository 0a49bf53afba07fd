"""Codebook methods: registry, refusals, one step of each, folding, statistics, recipe terms."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.judge import Judge, JudgeNetwork
from var_spaces.tokenizers.residual_vq import MultiScaleQuantizer, ResidualVQ, ResidualVQConfig
from var_spaces.tokenizers.vqbridge import SIZES, VQBridgeConfig, bridge, patch_for
from var_spaces.training.codebooks import base
from var_spaces.training.codebooks.grid import even_levels
from var_spaces.training.codebooks.picture import codebook_picture
from var_spaces.training.codebooks.quantizer import TrainingQuantizer, fold
from var_spaces.training.codebooks.window import UsageWindow
from var_spaces.training.engine.budget import Budget
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.plan import Options, Plan
from var_spaces.training.engine.trainer import Trainer
from var_spaces.training.images.sources import SceneSource
from var_spaces.training.losses.perceptual import PerceptualLoss, trunk_loss
from var_spaces.training.recipes.tokenizer import TokenizerConfig, TokenizerRecipe

CPU = torch.device("cpu")
MULTI = ResidualVQConfig(
    ch=16,
    ch_mult=(1,),
    num_res_blocks=1,
    stem_patch=4,
    norm_groups=8,
    z_channels=8,
    vocab_size=64,
    patch_nums=(1, 2, 4),
)
SINGLE = replace(MULTI, patch_nums=(4,), quant_resi=0.0, share_quant_resi=1)
FAST = TokenizerConfig(
    scenes="easy", warmup_steps=1, reset_every=2, eval_images=4, usage_images=64, vq=1.0
)


def recipe(name: str, model: ResidualVQConfig = MULTI, **settings) -> TokenizerRecipe:
    return TokenizerRecipe(model, replace(FAST, codebook=name, **settings), 0, CPU)


def run(recipe: TokenizerRecipe, folder: Path, steps: int = 5) -> Trainer:
    train = TrainConfig(batch_size=4, log_every=1, optimizer="adamw", warmup=0.1)
    trainer = Trainer(recipe, train, Budget(steps=steps), folder, CPU, quiet=True)
    recipe.folder = folder
    trainer.run()
    return trainer


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 16, 16, generator=generator) * 2 - 1


# Registry ----------------------------------------------------------------------------------------


def test_every_file_of_the_folder_is_a_method_with_described_parameters():
    assert set(base.names()) >= {"ema", "fsq", "linear", "mlp", "resets", "vanilla", "vqbridge"}
    for name in base.names():
        method = base.get(name)
        assert method.name == name
        assert method.title
        assert method.paper.startswith("https://arxiv.org/")
        assert all(one.metadata["help"] for one in fields(method))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("vqbrige", {}, "Did you mean 'vqbridge'"),
        ("vqbridge", {"depth": 0}, "depth of 'vqbridge' is 0; it must be at least 1"),
        ("vqbridge", {"variant": "vti"}, "Did you mean 'vit'"),
        ("vqbridge", {"patch": "4"}, "must be a number"),
        ("ema", {"decay": 1.5}, "at most 0.99999"),
        ("ema", {"decay": float("nan")}, "is nan"),
        ("fsq", {"levels": (8, 1)}, "at least 2"),
    ],
)
def test_bad_methods_are_refused_in_one_line(name, settings, message):
    with pytest.raises(VarSpacesError, match=message) as refused:
        base.get(name)(**settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "settings", "sizes", "message"),
    [
        ("vqbridge", {}, {"vocab_size": 2048}, "vocab_size to 2025 or 2116"),
        ("vqbridge", {"patch": 4}, {"vocab_size": 2048}, "vocab_size to 1936 or 2304"),
        ("vqbridge", {"patch": 3}, {"vocab_size": 64}, "multiple of patch=3"),
        ("vqbridge", {"width": 66}, {}, "multiple of 4"),
        ("fsq", {"levels": (8, 8)}, {}, "set vocab_size and z_channels to these, not 64 and 8"),
        ("fsq", {}, {}, "z_channels to at most 6"),
    ],
)
def test_codebooks_of_a_wrong_size_are_refused(name, settings, sizes, message):
    with pytest.raises(VarSpacesError, match=message):
        base.get(name)(**settings).quantizer(replace(MULTI, **sizes))


def test_a_second_method_of_the_same_name_is_refused():
    class Twin(base.CodebookMethod):
        name = "vanilla"

    base.names()
    with pytest.raises(VarSpacesError, match="exists twice"):
        base.codebook_method(Twin)


# Sizes of the projector --------------------------------------------------------------------------


def test_published_sizes():
    """Parameters of L/4 for 16,384 codes of 256 channels (FVQ, appendix)."""
    for variant, millions in (("vit", 3.15), ("dit", 4.08)):
        config = VQBridgeConfig(codes=16384, channels=256, width=SIZES["L"], variant=variant)
        count = sum(p.numel() for p in bridge(config).parameters())
        assert round(count / 1e6, 2) == millions


def test_scaling_rule():
    assert [patch_for(k) for k in (1024, 4096, 16384, 65536)] == [2, 2, 4, 8]
    assert patch_for(45**2) == 1
    for codes in (64, 900, 46**2, 262144):
        VQBridgeConfig(codes=codes, channels=8, patch=patch_for(codes))


@pytest.mark.parametrize(
    ("codes", "channels", "patch", "width"), [(4096, 32, 2, 128), (16384, 256, 4, 256)]
)
def test_the_usual_sizes_are_those_of_the_paper(codes, channels, patch, width):
    """For the codebook of VAR and for the one that the paper trains most."""
    sizes = replace(MULTI, vocab_size=codes, z_channels=channels)
    found = base.get("vqbridge")().quantizer(sizes).qbridge.config
    assert (found.patch, found.width) == (patch, width)


@pytest.mark.parametrize("variant", ["vit", "dit"])
def test_bridge_starts_at_zero_and_then_moves_every_code(variant):
    torch.manual_seed(0)
    quantizer = base.get("vqbridge")(variant=variant).quantizer(MULTI)
    assert not quantizer.codes().any()
    for parameter in quantizer.qbridge.parameters():  # as after some steps: gates open
        torch.nn.init.normal_(parameter, std=0.1)
    few = quantizer.codes()[:3].square().sum()
    few.backward()
    assert (quantizer.embedding.weight.grad != 0).any(1).all()


# Training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MULTI, SINGLE], ids=["multi-scale", "single-scale"])
@pytest.mark.parametrize("name", base.names())
def test_trained_and_folded_tokenizer_is_plain_and_equal(name, model, images, tmp_path):
    if name == "fsq":
        model = replace(model, z_channels=6)
    trainer = run(recipe(name, model), tmp_path)
    plain = fold(trainer.ema)
    assert type(plain.quantize) is MultiScaleQuantizer
    assert set(plain.state_dict()) == set(ResidualVQ(model).state_dict())
    with torch.no_grad():
        for ours, theirs in zip(plain.encode(images), trainer.ema.encode(images), strict=True):
            assert torch.equal(ours, theirs)
        assert torch.equal(plain.reconstruct(images), trainer.ema.reconstruct(images))


@pytest.mark.parametrize("name", ["ema", "vqbridge"])
def test_stopped_and_resumed_equals_uninterrupted(name, tmp_path, monkeypatch):
    """With state of its own: averages, window, discriminator."""
    settings = {"adversarial": 0.5, "adversarial_start": 2, "adversarial_ch": 8}
    settings |= {"annealing": "cosine"}
    whole = run(recipe(name, **settings), tmp_path / "whole", steps=6)
    step = Trainer._step

    def stop_after_three(self: Trainer) -> dict:
        logs = step(self)
        self.asked = self.at.step == 3
        return logs

    monkeypatch.setattr(Trainer, "_step", stop_after_three)
    run(recipe(name, **settings), tmp_path / "parts", steps=6)
    parts = run(recipe(name, **settings), tmp_path / "parts", steps=6)
    for key, value in whole.recipe.model.state_dict().items():
        assert torch.equal(parts.recipe.model.state_dict()[key], value), key
    assert torch.equal(parts.recipe.window.ids, whole.recipe.window.ids)
    pairs = zip(
        parts.recipe.adversary.network.parameters(),
        whole.recipe.adversary.network.parameters(),
        strict=True,
    )
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_checkpoints_of_before_the_window_load(tmp_path):
    trainer = run(recipe("resets"), tmp_path, steps=2)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert set(state["model"]) == set(ResidualVQ(MULTI).state_dict())
    state["recipe"] = {"counts": state["recipe"]["counts"]}
    torch.save(state, tmp_path / "checkpoint.pt")
    again = run(recipe("resets"), tmp_path, steps=3)
    assert again.at.step == 3
    assert again.recipe.window.counts.sum() < trainer.recipe.window.counts.sum() * 2


def test_bridge_without_warmup_is_refused(tmp_path):
    with pytest.raises(VarSpacesError, match="warmup_steps to 1 or more"):
        run(recipe("vqbridge", warmup_steps=0), tmp_path)


def test_moving_averages_are_the_means_of_what_chose_a_code(images):
    torch.manual_seed(0)
    quantizer = base.get("ema")().quantizer(SINGLE).train()
    f = torch.randn(2, 8, 4, 4)
    ids, _ = quantizer.quantize(f, quantizer.schedule)
    quantizer.average(decay=0.0)
    chosen = f.permute(0, 2, 3, 1).reshape(-1, 8)
    for code in ids[0].unique():
        mean = chosen[ids[0].flatten() == code].mean(0)
        torch.testing.assert_close(quantizer.embedding.weight[code], mean)
    assert not quantizer.embedding.weight.requires_grad
    before = quantizer.embedding.weight.clone()
    with torch.no_grad():
        quantizer.quantize(f, quantizer.schedule)  # evaluation counts nothing
    quantizer.average(decay=0.9)
    torch.testing.assert_close(quantizer.embedding.weight, before)


def test_grid_is_rounding():
    """The nearest point of the grid is each channel rounded to its nearest level."""
    assert even_levels(2048, 11) == (2,) * 11
    assert math.prod(even_levels(1000, 4)) == 1000
    quantizer = base.get("fsq")(levels=(8, 4, 2)).quantizer(replace(SINGLE, z_channels=3))
    y = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 3 - 1.5
    points = quantizer.embedding(quantizer.nearest(y))
    for channel, levels in enumerate((8, 4, 2)):
        steps = (y[:, channel].clamp(-1, 1) + 1) * (levels - 1) / 2
        torch.testing.assert_close(points[:, channel], steps.round() / (levels - 1) * 2 - 1)


def test_large_codebooks_are_searched_in_blocks(monkeypatch):
    torch.manual_seed(0)
    quantizer = TrainingQuantizer(MULTI)
    y = torch.randn(100, 8)
    whole = quantizer.nearest(y)
    monkeypatch.setattr("var_spaces.training.codebooks.quantizer.MAX_DISTANCES", 64 * 7)
    assert torch.equal(quantizer.nearest(y), whole)


# Starting from a trained tokenizer ----------------------------------------------------------------


def started(name: str, trained: ResidualVQ, codes: int) -> TokenizerRecipe:
    model = replace(trained.config, vocab_size=codes)
    return TokenizerRecipe(model, replace(FAST, codebook=name), 0, CPU, start=trained)


@pytest.mark.parametrize("name", ["resets", "ema", "vanilla"])
def test_more_codes_begin_where_the_trained_ones_were(name, images, tmp_path):
    trained = fold(run(recipe("resets"), tmp_path / "first").ema)
    more = started(name, trained, 100)
    assert torch.equal(more.model.codebook[:64], trained.codebook)
    distance = torch.cdist(more.model.codebook[64:].detach(), trained.codebook).min(1).values
    assert (distance > 0).all()
    assert distance.mean() < torch.cdist(trained.codebook, trained.codebook).mean() / 2
    with torch.no_grad():
        error = (more.model.reconstruct(images) - trained.reconstruct(images)).abs().max()
    assert error < 0.2
    codes = more.model.codebook.detach().clone()
    run(more, tmp_path / "second", steps=1)  # not begun anew from latents
    assert (more.model.codebook - codes).abs().median() < 0.01


@pytest.mark.parametrize("name", ["vqbridge", "fsq"])
def test_other_codes_begin_anew_behind_a_trained_encoder(name, tmp_path):
    model = replace(MULTI, z_channels=6)
    trained = fold(run(recipe("resets", model), tmp_path / "first").ema)
    more = started(name, trained, 256)
    wanted = trained.encoder.conv_in.weight
    assert torch.equal(more.model.encoder.conv_in.weight, wanted)
    run(more, tmp_path / "second", steps=2)


def test_tokenizers_of_other_sizes_are_no_start():
    with pytest.raises(VarSpacesError, match=r"set ch_mult = \[1\], vocab_size = 64 or more"):
        other = replace(MULTI, ch_mult=(1, 1))
        TokenizerRecipe(other, FAST, 0, CPU, start=ResidualVQ(MULTI))
    with pytest.raises(VarSpacesError, match="vocab_size = 64 or more"):
        started("resets", ResidualVQ(MULTI), 32)


# Losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["judge", "clip"])
def test_embedded_evaluators_serve_as_perceptual_loss(name):
    """They see that a blurred scene is nearer to it than another one."""
    loss = trunk_loss(Plan({}, TokenizerRecipe, Options()), name)
    images = SceneSource("wide", 64, CPU).batch(0, 0, 8)
    blurred = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2.0)
    assert loss(images, images).item() == 0
    assert 0 < loss(blurred, images) < loss(images.roll(1, 0), images)


def test_a_perceptual_network_must_have_maps(tmp_path):
    with pytest.raises(VarSpacesError, match="is a parser; what is needed here is a judge or a cl"):
        trunk_loss(Plan({}, TokenizerRecipe, Options()), "parser")
    with pytest.raises(VarSpacesError, match="No model in"):
        trunk_loss(Plan({}, TokenizerRecipe, Options(evaluators=tmp_path)), "judge")


def test_perceptual_and_adversarial_terms(tmp_path):
    network = JudgeNetwork(concepts=3, styles=2, ch=16, ch_mult=(1, 2), width=16)
    loss = PerceptualLoss(Judge(network).trunk)
    a, b = torch.rand(2, 2, 3, 16, 16, requires_grad=True)
    assert loss(a, a).item() == 0
    assert 0 < loss(a, b).item() < 4
    made = recipe("resets", adversarial=0.1, adversarial_start=2, adversarial_ch=8)
    made.perceptual = loss
    run(made, tmp_path, steps=3)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "loss" in row]
    assert all(row["perceptual"] > 0 for row in rows)
    assert ["discriminator" in row for row in rows] == [False, False, True]


def test_annealing_sets_the_rate_of_all_optimisers(tmp_path):
    made = recipe("vqbridge", annealing="linear", adversarial=0.1, adversarial_ch=8)
    run(made, tmp_path, steps=10)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    rates = [row["lr"] / TrainConfig().lr for row in rows if "lr" in row]
    assert rates[:4] == pytest.approx([0.005, 1, 1, 1])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[-1] < 0.2
    factor = made.adversary.optimizer.param_groups[0]["lr"] / made.config.adversarial_lr
    assert factor == pytest.approx(rates[-1])


# Statistics --------------------------------------------------------------------------------------


def test_window_is_first_in_first_out():
    window = UsageWindow(5, CPU, size=6)
    assert window.usage == 0  # starts empty: code 0 is not used before it is
    window.update([torch.tensor([[1, 1], [2, 4]])])
    assert window.counts.tolist() == [0, 2, 1, 0, 1]
    assert window.usage.item() == pytest.approx(0.6)
    assert window.perplexity.item() == pytest.approx(2**1.5)
    assert window.histogram.tolist()[:3] == [2, 2, 1]
    window.update([torch.tensor([[3, 3]]), torch.tensor([[3, 0, 0]])])
    assert window.counts.tolist() == [2, 0, 0, 3, 1]
    other = UsageWindow(5, CPU, size=6)
    other.load_state(window.state())
    for one in (window, other):
        one.update([torch.tensor([[2]])])
    assert torch.equal(other.counts, window.counts)
    window.update([torch.arange(40) % 2])  # more than it holds: the last ones stay
    assert window.counts.tolist() == [3, 3, 0, 0, 0]
    assert window.histogram.sum() == 5


def test_window_sizes():
    assert len(UsageWindow(1024, CPU).ids) == 65_536
    assert len(UsageWindow(65_536, CPU).ids) == 65_537


def test_pictures_and_rows_of_a_run(tmp_path):
    trainer = run(recipe("vqbridge"), tmp_path)
    picture = Image.open(tmp_path / "codebook.png")
    assert picture.size == (640, 640)
    assert len(picture.convert("RGB").getcolors(1 << 20)) > 5
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if "usage" in row][-1]
    assert sum(last["histogram"]) == MULTI.vocab_size
    assert last["histogram"][0] == round((1 - last["usage"]) * MULTI.vocab_size)
    (tmp_path / "cut.jsonl").write_text('{"step": 1, "usage": 0.5, "perplexity": 3}\n{"step": 2')
    assert codebook_picture(trainer.recipe.window, tmp_path / "cut.jsonl").size == (640, 640)
    assert codebook_picture(UsageWindow(4, CPU)).size == (640, 640)
