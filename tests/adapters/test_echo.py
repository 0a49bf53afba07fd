"""EchoGen on a tiny model: it begins as the base, then takes both ways in; frozen weights stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.infinity import write_models
from var_spaces import api, methods
from var_spaces.adapters.base import Given, Loaded
from var_spaces.adapters.echo_run import Seen, extend
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.decoding.backbone import BatchRow
from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.residency import Residency
from var_spaces.zoo.writer import save_model

SIDE, SEMANTIC, TOKENS = 8, (6, 5), 16


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def base(models, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(models))
    with Residency().lease(["tiny-t2i"], "cpu", text=True) as (model,):
        yield model


def adapter(**changes):
    sizes = {"side": SIDE, "semantic_dim": 6, "semantic_tokens": 5, "content_tokens": TOKENS}
    return methods.parse("adapter", {"name": "echo", **sizes, "content_dim": 6, **changes})


def network(base, **changes):
    torch.manual_seed(0)
    own = adapter(**changes).build(base.backbone.config).start_from(base.backbone)
    return own.eval()


def batch(base, rows: int = 3):
    """Text, inputs, and what is known of references."""
    text = TextFeatures.of([torch.randn(4, 384) for _ in range(rows)])
    tokens = torch.randn(rows, base.backbone.schedule.total - 1, 6)
    return text, tokens, Seen(torch.randn(rows, 5, 6), torch.randn(rows, TOKENS, 6))


def logits(base, own, text, tokens, seen, semantic=True, content=True):
    rows = len(text)
    on = [torch.full((rows,), flag) for flag in (semantic, content)]
    levels = base.backbone.lvl_embed.weight
    return base.backbone(
        text, tokens, extend=lambda context: extend(own, levels, context, seen, *on)
    )


def noisy(own):
    """Weights as after training: nothing is zero."""
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return own


@pytest.mark.parametrize("changes", [{"content_tokens": 9}, {"content_dim": 4}, {"side": 16}])
def test_latents_of_another_size_are_refused(base, changes):
    """A card that names another encoder than the one that the weights were trained with."""
    picture = torch.zeros(1, 3, SIDE, SIDE)
    see = adapter(semantic=False).see(base.tokenizer, picture)
    assert see.content.shape == (1, TOKENS, 6)
    with pytest.raises(VarSpacesError, match="has learned from"):
        adapter(semantic=False, **changes).see(base.tokenizer, picture)


def test_it_begins_as_the_base(base):
    text, tokens, seen = batch(base)
    plain = base.backbone(text, tokens)
    assert torch.equal(logits(base, network(base), text, tokens, seen), plain)
    published = logits(base, network(base, exact_start=False), text, tokens, seen)
    assert (published - plain).abs().max() > 1e-3  # as its authors' does


@pytest.mark.parametrize("exact", [True, False])
def test_both_ways_lead_in(base, exact):
    text, tokens, seen = batch(base)
    own = noisy(network(base, exact_start=exact))
    both = logits(base, own, text, tokens, seen)
    for off in ({"semantic": False}, {"content": False}):
        assert (logits(base, own, text, tokens, seen, **off) - both).abs().max() > 1e-3
    neither = logits(base, own, text, tokens, seen, False, False)
    other = logits(base, own, text, tokens, Seen(None, None), False, False)
    assert torch.equal(neither, other)  # what stands for no picture is learned
    assert not torch.equal(neither, base.backbone(text, tokens))


@pytest.mark.parametrize("changes", [{"content": False}, {"semantic": False}])
def test_one_way_alone_has_no_weights_of_the_other(base, changes):
    text, tokens, seen = batch(base)
    own = noisy(network(base, **changes))
    (off,) = changes
    names = " ".join(own.state_dict())
    assert ("refer" in names) == (off != "content")
    found = logits(base, own, text, tokens, seen)
    blind = Seen(
        seen.semantic if off == "content" else None, None if off == "content" else seen.content
    )
    assert torch.equal(logits(base, own, text, tokens, blind), found)


@pytest.mark.parametrize("exact", [True, False])
def test_scale_by_scale_as_all_at_once(base, exact):
    """With a cache, and rows reordered on the way, as teacher forcing has it."""
    from var_spaces.training.subjects.teacher import Sampled, draw

    own, rows = noisy(network(base, exact_start=exact)), 3
    text, _, seen = batch(base, rows)
    on = torch.ones(rows, dtype=torch.bool)
    levels = base.backbone.lvl_embed.weight

    def extension(context):
        return extend(own, levels, context, seen, on, on)

    drawn = draw(base.backbone, base.tokenizer, text, Sampled(1.0, 0), extend=extension)
    taught = base.backbone(text, drawn.tokens, extend=extension)
    torch.testing.assert_close(drawn.logits, taught, atol=1e-4, rtol=1e-4)
    context = base.backbone.context(base.backbone.condition(text))
    index = torch.tensor([2, 0])
    chosen = context.extended(extension(context)).gather_rows(index)
    alone = base.backbone.context(
        base.backbone.condition(TextFeatures.of([text.prompts()[i] for i in index]))
    )
    parts = Seen(seen.semantic[index], seen.content[index])
    alone = alone.extended(extend(own, levels, alone, parts, on[index], on[index]))
    for one, other in zip(chosen.blocks, alone.blocks, strict=True):
        torch.testing.assert_close(one, other)


def test_only_what_was_added_learns(base):
    text, tokens, seen = batch(base)
    own = network(base).train()
    before = {key: value.clone() for key, value in base.backbone.state_dict().items()}
    optimizer = torch.optim.AdamW(own.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss = (logits(base, own, text, tokens, seen) - 1).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]
    assert all("control" in name for name, _ in own.named_parameters())
    assert all(torch.equal(value, before[key]) for key, value in base.backbone.state_dict().items())


def test_rows_without_the_picture(base):
    """Of the rows of guidance only the full one sees the picture."""
    own = noisy(network(base))
    loaded = Loaded(base.backbone, base.tokenizer, own)
    shown = adapter(semantic=False)
    run = shown.prepare(loaded, Given(base.backbone.schedule, pictures={}))
    run.seen = Seen(torch.randn(1, 5, 6), torch.randn(1, TOKENS, 6))
    text = TextFeatures.of([torch.randn(4, 384)] * 3)
    context = base.backbone.context(base.backbone.condition(text))
    rows = [BatchRow(name, 0) for name in ("full", "text", "null")]
    k, _ = run.extension(context, rows).references[0]
    assert not torch.allclose(k[0], k[1])
    torch.testing.assert_close(k[1], k[2])


@pytest.fixture
def echo_model(base, models, tmp_path, monkeypatch):
    """A model folder with random weights; real encoder and tokenizer."""
    shown = adapter(semantic_dim=768, semantic_tokens=17)
    torch.manual_seed(0)
    own = noisy(shown.build(base.backbone.config).start_from(base.backbone))
    card = {"format": 1, "id": "tiny-echo", "title": "Tiny echo", "base": "tiny-t2i"}
    card |= {"adapter": methods.dump(shown), "defaults": {"task": {"name": "subject"}}}
    save_model(tmp_path / "tiny-echo", card, own.state_dict(), dtype=None)
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path}:{models}")
    return get_card("tiny-echo").id


def test_a_picture_changes_what_is_drawn(echo_model):
    def drawn(**inputs):
        (image,) = api.generate(
            model=echo_model, prompt="a <it> on the beach", word="dog", **inputs
        )
        return np.asarray(image)

    red, blue = (np.full((20, 30, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    guidance = {"name": "conditions", "scale": 2, "condition": 3}
    found = [drawn(source=one, guidance=guidance) for one in (red, blue)]
    assert not np.array_equal(*found)
    assert np.array_equal(drawn(source=red, guidance=guidance), found[0])
    assert not np.array_equal(drawn(guidance=guidance), found[0])
