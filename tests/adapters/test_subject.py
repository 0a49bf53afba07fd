"""ARBooth's adapter: words, files of the public code's kind, and nothing left in the base."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from tests.infinity import write_models
from var_spaces import api, methods
from var_spaces.adapters.base import Given, Loaded
from var_spaces.adapters.block_names import numbered, own_name
from var_spaces.adapters.subject_run import with_learned
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.conditioning.minilm import MiniLM
from var_spaces.errors import VarSpacesError
from var_spaces.validation import FrozenDict
from var_spaces.zoo.adding import add
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.convert import convert
from var_spaces.zoo.residency import Residency

PUBLISHED = {"name": "subject", "placeholder": "[MASK]", "text_rows": 3, "level_every_chunk": True}


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(write_models(tmp_path)))
    return tmp_path


@pytest.fixture
def base(models):
    with Residency().lease(["tiny-t2i"], "cpu", text=True) as (model,):
        yield model


def write_card(folder, adapter, **more):
    folder.mkdir(exist_ok=True)
    card = {"format": 1, "id": folder.name, "title": "A subject", "base": "tiny-t2i"}
    (folder / "card.json").write_text(json.dumps({**card, "adapter": adapter, **more}), "utf-8")


def test_files_of_whole_models(base, models):
    """Blocks in chunks and in half the bytes, what belongs to the base, buffers: as published."""
    torch.manual_seed(1)
    whole = {k: torch.randn_like(v) for k, v in base.backbone.state_dict().items()}
    learned = torch.randn(3, 384)
    spelled = {}
    for key, value in whole.items():
        name, _, rest = key.partition(".")
        if name == "blocks":
            number, _, rest = rest.partition(".")
            key, value = f"block_chunks.{number}.module.0.{rest}", value.bfloat16()
        spelled[key] = value
        if key.endswith("ca.v_bias"):
            spelled[key.replace("v_bias", "zero_k_bias")] = torch.zeros_like(value)
    folder = models / "published"
    write_card(folder, PUBLISHED, entry=["model"])
    data = {"args": {}, "epoch": 3, "model": {**spelled, "special_token": learned}}
    torch.save(data, folder / "weights.pth")
    own = load_module(get_card("published"))
    assert torch.equal(own.special_token, learned)
    for block in range(base.backbone.config.depth):
        for part in ("ca.proj.weight", "ffn.fc1.bias"):
            found = own.state_dict()[f"blocks.{block}.{part}"]
            assert torch.equal(found, whole[f"blocks.{block}.{part}"].bfloat16().float())
    assert not any(".sa." in key for key in own.state_dict())
    assert len(api.generate(model="published", prompt="a <it> dog")) == 1

    unsaid = {key: value for key, value in PUBLISHED.items() if key != "text_rows"}
    write_card(models / "unsaid", unsaid, entry=["model"])
    convert(get_card("unsaid"), models / "told", str(folder / "weights.pth"))
    assert get_card("told").adapter == FrozenDict(PUBLISHED)
    assert torch.equal(load_module(get_card("told")).special_token, learned)
    (models / "given").mkdir()
    write_card(models / "given" / "of-others", unsaid, entry=["model"])
    torch.save(data, models / "given" / "of-others" / "weights.pth")
    assert add(str(models / "given" / "of-others")).adapter == FrozenDict(PUBLISHED)
    data["model"]["special_token"] = torch.zeros(65, 384)
    torch.save(data, folder / "weights.pth")
    with pytest.raises(VarSpacesError, match="text_rows"):
        convert(get_card("unsaid"), models / "large", str(folder / "weights.pth"))


def test_files_that_are_something_else(base, models):
    folder = models / "other"
    write_card(folder, {**PUBLISHED, "sa": True}, entry=["model"])
    state = methods.parse("adapter", PUBLISHED).build(base.backbone.config).state_dict()
    torch.save({"model": state}, folder / "weights.pth")
    with pytest.raises(VarSpacesError, match="missing"):
        load_module(get_card("other"))
    write_card(folder, {**PUBLISHED, "ffn": False}, entry=["model"])
    with pytest.raises(VarSpacesError, match="unexpected"):
        load_module(get_card("other"))


def run(base, **changes):
    adapter = methods.parse("adapter", {**PUBLISHED, "word": "dog", **changes})
    own = adapter.build(base.backbone.config).start_from(base.backbone)
    with torch.no_grad():
        own.special_token.copy_(torch.randn_like(own.special_token))
    return adapter.prepare(
        Loaded(base.backbone, base.tokenizer, own), Given(base.backbone.schedule)
    )


def test_learned_rows_stand_where_the_placeholder_is(base):
    prepared, encoder = run(base), MiniLM(max_length=16)
    rows = prepared.own.special_token

    def read(prompt) -> torch.Tensor:
        return prepared.text(
            [prompt], "full", lambda p: encoder.encode(p, "cpu", base.text_encoder)
        ).packed

    plain = encoder.encode(["a photo of [MASK] dog on the beach"]).packed
    found = read("a photo of <it> on the beach")
    at = 4  # behind the token that starts a text
    assert torch.equal(found[at : at + 3], rows)
    assert torch.equal(
        torch.cat((found[:at], found[at + 3 :])), torch.cat((plain[:at], plain[at + 1 :]))
    )
    twice = read("<it> and <it>")
    assert torch.equal(twice[1:4], rows) and torch.equal(twice[6:9], rows)
    assert torch.equal(read("no subject here"), encoder.encode(["no subject here"]).packed)
    cut = read("word " * 40 + "<it>")  # beyond what the encoder reads
    assert not any(torch.equal(row, rows[0]) for row in cut)


def test_blocks_of_a_chunked_file_are_numbered_through_and_back():
    """As the published 2B has them: eight chunks of four."""
    keys = [f"block_chunks.{n}.module.{m}.ca.proj.weight" for n in range(8) for m in range(4)]
    found = numbered({key: torch.tensor(float(n)) for n, key in enumerate(keys)})
    assert {f"blocks.{n}.ca.proj.weight": float(n) for n in range(32)} == found
    config = SimpleNamespace(chunks=8, depth=32)
    assert [own_name(f"blocks.{n}.ca.proj.weight", config) for n in range(32)] == keys
    factor = numbered({"blocks.0.sa.scale_mul_1H11": torch.ones(3)})["blocks.0.sa.scale_mul_1H11"]
    assert factor.shape == (1, 3, 1, 1)


def test_learned_rows_may_be_the_last():
    states, learned = torch.randn(5, 2), torch.randn(4, 2)
    found = with_learned(states, [1, 4], learned)
    assert torch.equal(found, torch.cat((states[:1], learned, states[2:4], learned)))


def test_a_prompt_that_grows_too_long_is_cut_before_its_end(base):
    prepared, length = run(base), base.backbone.config.text_len
    encoder = MiniLM(max_length=length)

    def read(prompt) -> torch.Tensor:
        return prepared.text([prompt], "full", lambda p: encoder.encode(p)).packed

    long = "a <it> " + "word " * 2 * length
    plain = encoder.encode([long.replace("<it>", "[MASK] dog")]).packed
    found = read(long)
    assert len(found) == len(plain) == length
    assert torch.equal(found[2:5], prepared.own.special_token)
    assert torch.equal(found[5:-1], plain[3 : length - 3]) and torch.equal(found[-1], plain[-1])


def test_without_a_word_the_prompt_says_it(base):
    encoder = MiniLM(max_length=16)

    def read(prepared, prompt):
        return prepared.text([prompt], "full", lambda p: encoder.encode(p)).packed

    named, free = run(base), run(base, word="")
    free.own.load_state_dict(named.own.state_dict())
    assert torch.equal(read(named, "a <it>"), read(free, "a <it> dog"))


def test_the_scale_embedding_comes_again_before_every_chunk(base):
    """On a model of one chunk there is no other; on one of two it changes what is drawn."""
    assert run(base).chunks == frozenset()
    text = TextFeatures.of([torch.randn(4, 384)])
    tokens = torch.randn(1, base.backbone.schedule.total - 1, 6)
    from var_spaces.adapters.subject_run import LevelEveryChunk

    levels, schedule = base.backbone.lvl_embed.weight, base.backbone.schedule
    again = LevelEveryChunk(levels, frozenset({1}), schedule)
    plain = base.backbone(text, tokens)
    changed = base.backbone(text, tokens, extend=lambda context: again)
    assert (changed - plain).abs().max() > 1e-2
    x = torch.zeros(1, schedule.total, 48)
    added = again.before_block(1, range(schedule.num_scales), x)
    for scale in range(schedule.num_scales):
        assert torch.equal(
            added[0, schedule.span(scale)], levels[scale].expand(schedule.lengths[scale], -1)
        )
    assert again.before_block(0, range(1), x) is x
