"""Fine-tuning to a subject: it is learned, the base stays, the result is a model like others."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.infinity import write_models
from var_spaces import api
from var_spaces.adapters.subject_layers import SubjectLayers
from var_spaces.errors import VarSpacesError
from var_spaces.training.subjects.settings import LORA, PUBLISHED, SubjectSettings
from var_spaces.training.subjects.teacher import Sampled
from var_spaces.training.subjects.tuning import SubjectTuning
from var_spaces.zoo.residency import Residency

SIDE = 8


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def base(models, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(models))
    with Residency().lease(["tiny-t2i"], "cpu", text=True) as (model,):
        yield model


def pictures(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1


def settings(**changes) -> SubjectSettings:
    return SubjectSettings(**{"steps": 6, "lr": 1e-2, "rows_lr": 1e-1, "pool": 3, **changes})


SETTINGS = {
    "default": settings(),
    "no prior": settings(prior="none"),
    "per bit": settings(prior="per-bit"),
    "hard": settings(prior="hard"),
    "fresh, published teacher": settings(pool=0, published_teacher=True),
    "all layers": settings(layers=SubjectLayers(sa=True)),
    "LoRA": settings(layers=LORA.layers),
    "published arithmetic": settings(precision=PUBLISHED.precision),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_only_what_is_chosen_changes(base, name):
    chosen = SETTINGS[name]
    before = {key: value.clone() for key, value in base.backbone.state_dict().items()}
    tuning = SubjectTuning(base, pictures(), "dog", chosen)
    start = {key: value.clone() for key, value in tuning.own.state_dict().items()}
    found = list(tuning.run())
    assert [one.step for one in found] == list(range(1, 7))
    assert all((one.prior == 0) == (chosen.prior == "none") for one in found[1:])
    changed = {k for k, v in tuning.own.state_dict().items() if not torch.equal(v, start[k])}
    assert "special_token" in changed
    assert len(changed) > 0.5 * len(start)
    assert all(torch.equal(value, before[key]) for key, value in base.backbone.state_dict().items())
    assert not any(p.requires_grad for p in base.backbone.parameters())


def test_rows_are_exact_where_weights_are_halved(base, tmp_path):
    """As published: at the published rate a step of a row would vanish in 16 bits."""
    tuning = SubjectTuning(base, pictures(), "dog", settings(precision="bfloat16"))
    list(tuning.run())
    tuning.save(tmp_path / "halved")
    stored = load_file(tmp_path / "halved" / "model.safetensors")
    types = {name: value.dtype for name, value in stored.items()}
    assert types.pop("special_token") == torch.float32
    assert set(types.values()) == {torch.bfloat16}


def test_it_learns_and_is_the_same_again(base):
    chosen = settings(steps=30, flips=0, drop_text=0)
    runs = [list(SubjectTuning(base, pictures(1), "dog", chosen).run()) for _ in range(2)]
    assert runs[0] == runs[1]
    losses = [one.instance for one in runs[0]]
    assert losses[-1] < 0.7 * losses[0]


def test_stochastic_depth_is_of_training_alone(base):
    chosen = settings(steps=2, drop_path=0.5)
    tunings = [SubjectTuning(base, pictures(), "dog", chosen) for _ in range(2)]
    runs = [list(tuning.run()) for tuning in tunings]
    assert runs[0] == runs[1] != list(SubjectTuning(base, pictures(), "dog", settings()).run())[:2]
    tokens = tunings[0]._pool().tokens
    with torch.no_grad():
        drawn = [t.shell(t._class_text(len(tokens)), tokens) for t in tunings]
    assert torch.equal(*drawn)  # what is learned is used whole
    assert PUBLISHED.drop_path == 0.1


def test_the_teacher_begins_as_the_student(base):
    """With the correct teacher there is nothing to distil at first; with the published there is."""
    for published in (False, True):
        tuning = SubjectTuning(base, pictures(), "dog", settings(published_teacher=published))
        divergence = tuning._prior(tuning._pool()).item()
        assert (abs(divergence) < 1e-5) != published


@pytest.mark.parametrize("top_p", [0, 0.3, 0.5])
def test_the_likelier_bit_is_never_left_out(top_p):
    chances = torch.tensor([0.4, 0.6]).repeat(50)
    drawn = Sampled(1.0, top_p)(torch.stack(((1 - chances).log(), chances.log()), dim=-1))
    assert drawn.tolist() == [0, 1] * 50


def test_weights_of_scales():
    assert PUBLISHED.full_scales(13) == 8
    assert [SubjectSettings().full_scales(n) for n in (1, 6, 8, 9, 13)] == [1, 4, 6, 8, 8]


@pytest.mark.parametrize("rank", [0, 2])
def test_the_result_is_a_model_like_others(base, models, tmp_path, monkeypatch, rank):
    layers = SubjectLayers(rows=2, rank=rank)
    tuning = SubjectTuning(base, pictures(), "dog", settings(layers=layers))
    steps = tuning.run()
    next(steps), next(steps)
    steps.close()  # stopped: what there is counts
    tuning.save(tmp_path / "my-dog")
    card = json.loads((tmp_path / "my-dog" / "card.json").read_text("utf-8"))
    assert (card["base"], card["adapter"]["word"], card["training"]["steps"]) == (
        "tiny-t2i", "dog", 2,
    )  # fmt: skip
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path}:{models}")
    zoo = Residency()
    monkeypatch.setattr(api, "_zoo", zoo, raising=False)
    prompt = "a photo of <it> on the beach"

    def drawn(model):
        return [image.tobytes() for image in api.generate(model=model, prompt=prompt, count=2)]

    plain = drawn("tiny-t2i")
    assert drawn("my-dog") != plain
    assert drawn("tiny-t2i") == plain  # the base beside it is untouched


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prior": "soft"}, "prior = 'soft' must be one of joint, per-bit, hard, none"),
        ({"steps": 0}, "steps = 0 is out of range"),
        ({"frame": "a photo"}, r"needs one \{\}"),
        ({"layers": "rank"}, "a rank of 0 to 256"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(VarSpacesError, match=message):
        if "layers" in changes:
            SubjectLayers(rank=-1)
        SubjectSettings(**changes)


def test_models_that_cannot_learn(base, use_tiny_models):
    with pytest.raises(VarSpacesError, match="at least one picture"):
        SubjectTuning(base, pictures(0), "dog", settings())
    with (
        Residency().lease(["tiny-var"], "cpu") as (model,),
        pytest.raises(VarSpacesError, match="'tiny-var' cannot learn a subject"),
    ):
        SubjectTuning(model, pictures(), "dog", settings())


def test_the_prior_of_a_subject_counts_as_asked(base):
    chosen = [settings(steps=1, pool=1, prior_weight=weight) for weight in (1.0, 3.0)]
    (one,), (three,) = (SubjectTuning(base, pictures(1), "dog", each).run() for each in chosen)
    assert three.instance == one.instance and one.prior > 0
    assert three.prior == pytest.approx(3 * one.prior)
