"""Training of bitwise tokenizer and text-to-image transformer, on tiny networks for two steps."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from var_spaces.api import generate
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.training.__main__ import main
from var_spaces.training.data.word_tags import TAGS
from var_spaces.training.engine.config import build
from var_spaces.training.losses.bits import bit_losses, scale_weights
from var_spaces.training.losses.prefixes import PrefixConfig, Prefixes, mean_seen
from var_spaces.training.losses.self_correction import BitFlips
from var_spaces.training.recipes.bitwise import balance
from var_spaces.training.recipes.text_transformer import TextTransformerConfig
from var_spaces.training.recipes.warm_start import take_autoencoder, take_matching

BITWISE = """
kind = "bitwise"
id = "bits"
[model]
ch = 16
ch_mult = [1, 1]
num_res_blocks = 1
stem_patch = 4
norm_groups = 8
bits = 4
patch_nums = [1, 2, 8]
[recipe]
scenes = "easy"
eval_images = 4
[train]
batch_size = 4
eval_minutes = 1000
log_every = 1
"""
TEXT = """
kind = "text-transformer"
id = "t2i"
[recipe]
tokenizer = "bits"
scenes = "composed"
depth = 2
width = 48
heads = 2
text_tokens = 48
reweight = true
eval_images = 32
[train]
batch_size = 4
eval_minutes = 1000
log_every = 1
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Folder with ``models`` and ``runs`` of both recipes."""
    root = tmp_path_factory.mktemp("trained")
    for kind, text in (("bitwise", BITWISE), ("text-transformer", TEXT)):
        (root / f"{kind}.toml").write_text(text)
        arguments = [kind, "--config", str(root / f"{kind}.toml"), "--steps", "2", "--quiet"]
        arguments += ["--device", "cpu", "--models", str(root / "models")]
        assert main([*arguments, "--runs", str(root / "runs")]) == 0
    return root


def test_both_recipes_run_and_log(trained):
    rows = [json.loads(line) for line in (trained / "runs/bits/metrics.jsonl").open()]
    assert {"l1", "commitment", "entropy", "bit_balance"} <= rows[0].keys()
    card = json.loads((trained / "models/bits/card.json").read_text())
    assert card["family"] == "bitwise"
    assert 0 <= card["metrics"]["bit_balance_512_images"] <= 1
    card = json.loads((trained / "models/t2i/card.json").read_text())
    assert card["text_encoder"] == {"name": "minilm", "max_length": 48}
    assert card["metrics"]["nats_trained_pairs"] == pytest.approx(np.log(2), abs=0.1)
    assert len(card["metrics"]["nats_unseen_pairs_per_scale"]) == 3
    assert (trained / "models/t2i/samples.png").is_file()


def test_what_was_trained_draws(trained, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(trained / "models"))
    image = generate(model="t2i", prompt="a cat on a blue background", seed=1)[0]
    assert image.size == (64, 64)


SIZES = dict(ch=16, ch_mult=(1, 1), num_res_blocks=1, norm_groups=8)


def test_a_tokenizer_starts_from_another_autoencoder():
    torch.manual_seed(0)
    vq = ResidualVQ(ResidualVQConfig(**SIZES, z_channels=4, vocab_size=8, patch_nums=(1, 2)))
    bits = Bitwise(BitwiseConfig(**SIZES, bits=4, patch_nums=(1, 2)))
    take_autoencoder(bits, vq)
    given = bits.adapt_state(vq.state_dict())
    for name, ours in bits.state_dict().items():
        assert torch.equal(ours, given[name]), name
    other = Bitwise(BitwiseConfig(ch=48, ch_mult=(1,), bits=5, norm_groups=8))
    with pytest.raises(VarSpacesError, match="no layer of the same name"):
        take_autoencoder(other, vq)


@pytest.mark.parametrize("trained", [Bitwise, ResidualVQ])
def test_a_vq_tokenizer_starts_as_the_autoencoder_that_it_is_given(trained):
    """What it has beside that one changes nothing at first."""
    torch.manual_seed(0)
    config = ResidualVQConfig(**SIZES, z_channels=4, vocab_size=8, patch_nums=(1, 2))
    start = {
        Bitwise: lambda: Bitwise(BitwiseConfig(**SIZES, bits=4, patch_nums=(1, 2))),
        ResidualVQ: lambda: ResidualVQ(replace(config, patch_nums=(1,))),
    }[trained]()
    vq = ResidualVQ(config)
    take_autoencoder(vq, start)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    latent = start.latent(images)
    torch.testing.assert_close(vq.latent(images), latent)
    torch.testing.assert_close(vq.decode(latent), start.decode(latent))


READING = (
    TEXT.replace('"t2i"', '"reads"').replace(
        "reweight = true", "reweight = true\ntext_blocks = 1\nread = 0.5"
    )
    + """
[[stages]]
until = 0.5
scenes = "pairs"
full = 0.1
shortest = 1
"""
)


def test_a_refiner_reads_captions_first(trained, monkeypatch):
    """The first stage trains the refiner alone; the second takes its weights and trains all."""
    config = trained / "reads.toml"
    config.write_text(READING)
    arguments = ["text-transformer", "--config", str(config), "--steps", "8", "--device", "cpu"]
    places = ["--models", str(trained / "models"), "--runs", str(trained / "runs"), "--quiet"]
    assert main([*arguments, *places]) == 0
    reader, text = (
        [json.loads(line) for line in (trained / "runs/reads" / name).open()]
        for name in ("reader/metrics.jsonl", "metrics.jsonl")
    )
    assert len(reader) == len(text) == 5  # four steps each, and an evaluation
    assert reader[-1]["eval"].keys() == {f"reads_{name}" for name in TAGS}
    seen = [row["scales"] for row in text[:-1]]
    assert set(seen[:2]) <= {1, 2}  # the first stage of the recipe file sees beginnings
    assert seen[2:] == [3, 3]
    card = json.loads((trained / "models/reads/card.json").read_text())
    assert card["architecture"]["text_blocks"] == 1
    assert card["training"]["steps"] == 8
    monkeypatch.setenv("VAR_SPACES_MODELS", str(trained / "models"))
    assert generate(model="reads", prompt="two cats", seed=1)[0].size == (64, 64)


@pytest.mark.parametrize("wrong", [{"read": 0.5}, {"read": 1.0, "text_blocks": 1}, {"read": -0.1}])
def test_only_a_refiner_can_read(wrong):
    with pytest.raises(VarSpacesError, match=r"\[recipe\] read (is|=)"):
        build(TextTransformerConfig, wrong, "[recipe]")


def test_a_missing_tokenizer_is_named(tmp_path, capsys):
    config = tmp_path / "t.toml"
    config.write_text(TEXT)
    arguments = ["text-transformer", "--config", str(config), "--steps", "1"]
    assert main([*arguments, "--models", str(tmp_path), "--runs", str(tmp_path)]) == 2
    assert "train one first" in capsys.readouterr().err


def test_flips():
    bits = torch.zeros(400, 2, 2, 8, dtype=torch.bool)
    flips = BitFlips(0.3, 2, torch.Generator().manual_seed(0))
    rates = torch.tensor([flips(0, bits).float().mean().item() for _ in range(60)])
    assert rates.max() < 0.32
    assert rates.mean() == pytest.approx(0.15, abs=0.04)
    assert len(set(rates.tolist())) > 10
    assert torch.equal(flips(2, bits), bits)  # only the first two scales
    again = BitFlips(0.3, 2, torch.Generator().manual_seed(0))
    assert torch.equal(again(0, bits), BitFlips(0.3, 2, torch.Generator().manual_seed(0))(0, bits))
    assert not BitFlips(0.0, 9, torch.Generator())(0, bits).any()
    with pytest.raises(VarSpacesError, match="0 to 1"):
        BitFlips(1.5, 1, torch.Generator())


def test_later_scales_repair_flips():
    """With a flip, the targets of later scales change and undo part of it."""
    torch.manual_seed(0)
    model = Bitwise(BitwiseConfig(ch=16, ch_mult=(1,), bits=4, norm_groups=8))
    schedule = ScaleSchedule.square((1, 2, 4, 8))
    f = torch.randn(16, 4, 8, 8) * 0.5
    plain = model.quantize(f, schedule)
    flipped = model.quantize(f, schedule, lambda scale, bits: ~bits if scale == 0 else bits)
    assert torch.equal(flipped.bits[0], plain.bits[0])  # the target is what it should have been
    assert not torch.equal(flipped.bits[1], plain.bits[1])
    wrong = (flipped.latents[0] - f).square().mean()
    assert (flipped.latents[3] - f).square().mean() < wrong


def test_losses():
    torch.manual_seed(0)
    logits, bits = torch.randn(2, 5, 3, 2), torch.randint(2, (2, 5, 3))
    expected = F.cross_entropy(logits.flatten(0, 2), bits.flatten(), reduction="none")
    torch.testing.assert_close(bit_losses(logits, bits), expected.view(2, 5, 3).mean(-1))
    schedule = ScaleSchedule.square((1, 2))
    assert scale_weights(schedule, False).tolist() == pytest.approx([0.2] * 5)
    assert scale_weights(schedule, True).tolist() == pytest.approx([1 / 3] + [1 / 6] * 4)


def test_balance():
    even = torch.tensor([[[0, 1]], [[1, 0]]])
    assert balance([even]).item() == pytest.approx(1)
    assert balance([torch.ones(2, 3, 4)]).item() == pytest.approx(0, abs=1e-3)


def test_steps_see_prefixes():
    schedule = ScaleSchedule.square((1, 2, 4, 6, 8, 12, 16))
    prefixes = Prefixes(schedule, PrefixConfig(full=0.25, shortest=3))
    drawn = Counter(prefixes.draw(0, step) for step in range(4000))
    assert set(drawn) == {3, 4, 5, 6, 7}
    assert drawn[7] / 4000 == pytest.approx(0.25, abs=0.03)
    assert all(drawn[n] / 4000 == pytest.approx(0.1875, abs=0.03) for n in (3, 4, 5, 6))
    short = Prefixes(schedule, PrefixConfig(full=0.1, shortest=2, longest=3))
    assert {short.draw(0, step) for step in range(400)} == {2, 3, 7}
    for wrong in ({"shortest": 8}, {"longest": 2}, {"longest": 7}):
        with pytest.raises(VarSpacesError, match="allowed"):
            Prefixes(schedule, PrefixConfig(**{"shortest": 3, **wrong}))


def test_a_step_counts_as_much_whatever_it_sees():
    schedule = ScaleSchedule.square((1, 2, 4))
    weights = scale_weights(schedule, reweight=True)
    for length in schedule.offsets[1:]:
        assert mean_seen(torch.full((3, length), 0.7), weights).item() == pytest.approx(0.7)
    losses = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]])
    assert mean_seen(losses, weights).item() == pytest.approx(1 / 3)  # scales of weight 1 and 2


def test_weights_begin_with_those_of_a_trained_model_where_they_fit():
    trained, wider = nn.Linear(3, 4), nn.Linear(3, 5)
    fresh = nn.Linear(3, 4)
    assert take_matching(fresh, trained.state_dict(), "model", "x") == ["weight", "bias"]
    assert torch.equal(fresh.weight, trained.weight)
    with pytest.raises(VarSpacesError, match="no layer of the same name and shape"):
        take_matching(wider, trained.state_dict(), "model", "x")
