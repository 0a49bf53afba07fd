"""Text encoders in memory: counted like other parts, shared by models, kept by runs, let go."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
from safetensors.torch import load_file

from tests.infinity import write_models
from var_spaces import api, methods
from var_spaces.conditioning import text
from var_spaces.conditioning.minilm import MiniLM
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan
from var_spaces.tasks.run import run
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.estimate import estimate
from var_spaces.zoo.fitting import report
from var_spaces.zoo.residency import Residency
from var_spaces.zoo.writer import save_model

ENCODER = "minilm (text encoder)"


@pytest.fixture
def loads(tiny_models, tmp_path, monkeypatch):
    """Weak references to all encoders that were read; models ``tiny-t2i``, ``other-t2i``."""
    card = json.loads((write_models(tmp_path) / "tiny-t2i" / "card.json").read_text("utf-8"))
    state = load_file(tmp_path / "tiny-t2i" / "model.safetensors")
    reader = {"name": "minilm", "max_length": 12}  # reads fewer words with the same weights
    moved = {key: value.roll(1) for key, value in state.items()}
    save_model(tmp_path / "other-t2i", {**card, "id": "other-t2i", "text_encoder": reader}, moved)
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path}:{tiny_models}")
    found, load = [], MiniLM.load

    def counting(self, device):
        encoder = load(self, device)
        found.append(weakref.ref(encoder))
        return encoder

    monkeypatch.setattr(MiniLM, "load", counting)
    text.forget()
    yield found
    text.forget()


def events(zoo, model, **inputs):
    return run(plan(api.make_spec(model, **inputs)[0]), zoo, pictures={}, device="cpu")


def needed(*models: str) -> dict[str, int]:
    """Bytes of the weights of models by part, known before."""
    parts = {kind: methods.parse(kind, {"name": n}) for kind, n in (("cache", "full"),)}
    found = {}
    for model in models:
        card = get_card(model)
        guidance = methods.parse("guidance", card.default("guidance"))
        found |= estimate(card, guidance=guidance, **parts).weights
    return found


def held(zoo) -> dict[str, int]:
    return {key.model: nbytes for key, nbytes in zoo.loaded().items()}


def test_two_models_share_one_encoder_that_is_counted_once(loads):
    sizes = needed("tiny-t2i", "other-t2i")
    assert sizes[ENCODER] > sum(size for name, size in sizes.items() if name != ENCODER)
    zoo = Residency(budget=sum(sizes.values()))
    for model in ("tiny-t2i", "other-t2i", "tiny-t2i"):
        list(events(zoo, model, prompt=f"a {model}"))
    assert held(zoo) == sizes
    assert len(loads) == 1 and zoo.counters.loads == 4
    assert not zoo.counters.evictions
    assert zoo.counters.peak_bytes == sum(sizes.values())


def test_an_idle_encoder_leaves_first_and_returns(loads):
    sizes = needed("tiny-t2i", "tiny-var")
    zoo = Residency(budget=sum(sizes.values()) - 1)
    first = list(events(zoo, "tiny-t2i", prompt="a cat"))[-1]
    list(events(zoo, "tiny-var"))
    gc.collect()
    assert held(zoo).keys() == sizes.keys() - {ENCODER}
    assert zoo.counters.evictions == 1 and loads[0]() is None
    text.forget()
    again = list(events(zoo, "tiny-t2i", prompt="a cat"))[-1]
    assert len(loads) == 2 and again.record.token_sha256 == first.record.token_sha256
    assert zoo.counters.peak_bytes <= zoo.budget


def test_the_encoder_of_a_run_stays(loads):
    zoo = Residency(budget=sum(needed("tiny-t2i").values()), patience=0.01)
    going = events(zoo, "tiny-t2i", prompt="a dog")
    next(going)
    with pytest.raises(VarSpacesError, match="Running requests"):
        next(events(zoo, "tiny-var"))
    assert ENCODER in held(zoo) and zoo.counters.waits == 1
    going.close()
    next(events(zoo, "tiny-var"))


def test_modules_alone_need_no_encoder(loads):
    zoo = Residency()
    assert zoo.model("tiny-t2i", "cpu").text_encoder is None
    assert not loads and ENCODER not in held(zoo)


def test_a_verdict_counts_it(loads):
    card, sizes = get_card("tiny-t2i"), needed("tiny-t2i")
    settings = {kind: card.default(kind) for kind in ("cache", "guidance")}
    chosen = {kind: methods.parse(kind, given) for kind, given in settings.items()}
    found = report(card, memory=sizes[ENCODER], **chosen)
    assert f"weights of {ENCODER}" in [part for part, *_ in found.rows]
    assert found.fits is False
