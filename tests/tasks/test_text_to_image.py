"""Text to image from spec to pixels: prompts, guidance, aspect ratios, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.infinity import write_models
from var_spaces.api import generate, make_spec, stream
from var_spaces.conditioning.prompts import FACES, PERSONS, with_faces
from var_spaces.errors import VarSpacesError
from var_spaces.events import Finished, ScaleDone, Started
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def models(folder, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(folder))


def pixels(**settings):
    images = generate(model="tiny-t2i", **{"prompt": "a red apple", "seed": 1, **settings})
    return np.stack([np.asarray(image) for image in images])


def test_a_prompt_becomes_a_picture():
    first = pixels()
    assert first.shape == (1, 8, 8, 3)
    assert np.array_equal(first, pixels())
    assert not np.array_equal(first, pixels(prompt="two cats"))
    assert not np.array_equal(first, pixels(seed=2))
    assert not np.array_equal(first, pixels(negative_prompt="a blue car"))


def test_words_for_good_faces_stand_behind_prompts_about_persons_alone():
    """They are read, and the prompt of the spec stays as it was written."""
    said = "a worker in a red hat"
    plain, faces = (make_spec("tiny-t2i", prompt=said, faces=flag)[0] for flag in (False, True))
    assert "faces" not in plain.inputs and plain.id == make_spec("tiny-t2i", prompt=said)[0].id
    assert faces.inputs == {**plain.inputs, "faces": True}
    assert plan(faces).task.asked(plan(faces).card).text == said
    drawn = pixels(prompt=said, faces=True)
    assert np.array_equal(drawn, pixels(prompt=said + FACES))
    assert not np.array_equal(drawn, pixels(prompt=said))
    assert np.array_equal(pixels(faces=True), pixels())  # an apple is nobody


def test_persons_are_told_by_the_published_words_alone():
    assert len(set(PERSONS)) == 22
    for said in (*PERSONS, "two women", "a bag of cement"):
        assert with_faces(said) == said + FACES
    for said in ("", "a red apple", "WOMAN"):
        assert with_faces(said) == said


def test_an_image_is_the_same_in_any_batch():
    three = pixels(count=3)
    assert np.array_equal(three[2:], pixels(first=2))
    assert not np.array_equal(three[0], three[1])


def test_equal_prompts_have_equal_specs():
    spec, _ = make_spec("tiny-t2i", prompt=" a  red\tapple")
    other, _ = make_spec(
        "tiny-t2i", prompt="a red apple", guidance=[2.0, 2, 2], negative_prompt=" "
    )
    assert spec.id == other.id
    assert spec.task == "text-to-image"
    assert spec.inputs["prompt"] == "a red apple"
    assert RunSpec.from_link(spec.to_link()) == spec


@pytest.mark.parametrize("prompt", ["", "😀", "赤いりんご", "a\x00b\x1b", "apple " * 600])
def test_any_prompt(prompt):
    assert pixels(prompt=prompt).shape == (1, 8, 8, 3)


def test_aspect_ratio_and_schedule():
    wide = pixels(aspect="2:1")
    assert wide.shape == (1, 4, 8, 3)
    spec, _ = make_spec("tiny-t2i", prompt="a cat", aspect="2:1")
    events = list(stream(spec))
    assert [event.size for event in events if isinstance(event, ScaleDone)] == [
        (1, 1),
        (2, 2),
        (2, 4),
    ]
    started, done = events[0], events[-1]
    assert isinstance(started, Started)
    assert started.schedule.last == (2, 4)
    assert isinstance(done, Finished)
    assert done.record.spec.schedule is None  # the aspect ratio says it
    own = [[1, 1], [2, 3], [5, 5]]
    assert pixels(schedule=own).shape == (1, 10, 10, 3)
    assert np.array_equal(pixels(schedule=[[1, 1], [2, 2], [4, 4]]), pixels())


def test_events_tell_tokens_and_bytes():
    spec, _ = make_spec("tiny-t2i", prompt="a cat")
    scales = [event for event in stream(spec) if isinstance(event, ScaleDone)]
    assert [event.tokens for event in scales] == [1, 4, 16]
    # keys and values, 2 layers, 48 channels, float32, conditional and unconditional row
    assert [event.kv_bytes for event in scales] == [2 * 2 * 48 * 4 * 2 * n for n in (1, 5, 21)]
    assert all(event.ids.shape[-1] == 6 for event in scales)
    assert all(0 < event.entropy < 6 * np.log(2) + 1e-4 for event in scales)
    assert scales[0].preview.shape == (1, 8, 8, 3)


def test_bits_of_a_picture_may_stay_as_latents():
    """Where the region is not, the latent at the end is that of the picture."""
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    asked = {"task": "paint-prompt", "prompt": "a cat", "image": picture, "keeps": "latents"}
    seen = []
    for seed, region in ((1, (0, 0.5, 1, 1)), (2, (0, 0.5, 1, 1)), (1, (0, 0, 1, 1))):
        found = {}
        told = {"observe": lambda what, k, t, found=found: found.__setitem__((what, k), t)}
        list(stream(model="tiny-t2i", seed=seed, rectangle=region, **asked, **told))
        seen.append(found["f_hat", 2])
    assert torch.equal(seen[0][..., :2], seen[1][..., :2])
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[0][..., :2], seen[2][..., :2])


def test_guidance_forms():
    unguided = pixels(guidance=1)
    assert np.array_equal(unguided, pixels(guidance=1, negative_prompt="a car"))
    assert not np.array_equal(unguided, pixels(guidance=[1, 1, 4]))
    layers = {"name": "layers", "scale": 3, "layers": [-1, 0]}
    assert not np.array_equal(pixels(guidance=layers), pixels(guidance=3))
    # guidance on logits only is the same in both methods
    logits = {"name": "layers", "scale": 3, "layers": [0]}
    assert np.array_equal(pixels(guidance=logits), pixels(guidance=3))
    greedy = {"name": "bits", "top_k": 1}
    assert np.array_equal(pixels(sampling=greedy, seed=1), pixels(sampling=greedy, seed=2))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"guidance": [1.0, 2.0]}, "2 numbers for 3 scales"),
        ({"guidance": {"name": "layers", "layers": [-3]}}, "before the first of 2 blocks"),
        ({"sampling": {"name": "bits", "temperature": [1, 0.5]}}, "2 numbers for 3 scales"),
        ({"sampling": {"name": "top-k-top-p"}}, "its tokens are bits"),
        ({"guidance": "much"}, "Unknown guidance"),
        ({"temperature": "hot"}, "give one number"),
        ({"aspect": "5:1"}, "is unknown"),
        ({"aspect": "2:1", "schedule": [[1, 1], [3, 3]]}, "not both"),
        ({"schedule": [[2, 2], [4, 4]]}, "starts from one token"),
        ({"schedule": [[1, 1], [200, 200]]}, "too large"),
        ({"schedule": [[k, k] for k in range(1, 9)]}, "too large"),
        ({"prompt": "x" * 5000}, "prompt"),
        ({"class_": "dog"}, "Unknown setting 'class'"),
        ({"task": "generate", "prompt": "x"}, "Unknown setting 'prompt'"),
    ],
)
def test_refusals(settings, words):
    with pytest.raises(VarSpacesError, match=words):
        pixels(**settings)


def test_layers_that_a_model_lacks_are_refused_before_loading():
    spec = make_spec("tiny-t2i", guidance={"name": "layers", "layers": [-3]})[0]
    with pytest.raises(VarSpacesError, match="before the first of 2 blocks"):
        plan(spec)


def test_tasks_and_models_that_do_not_fit(use_tiny_models):
    with pytest.raises(VarSpacesError, match="it asks for a prompt"):
        generate(model="tiny-var", task="text-to-image", prompt="a cat")
    with pytest.raises(VarSpacesError, match="it asks for a class"):
        generate(model="tiny-t2i", task="generate")


def test_command_line(tmp_path):
    from var_spaces.cli import main

    out = tmp_path / "a.png"
    command = ["generate", "--model", "tiny-t2i", "--prompt", "a red apple", "--seed", "1"]
    assert main([*command, "--out", str(out)]) == 0
    spec = RunSpec.read_png(out)
    assert spec.inputs == {"aspect": "1:1", "negative_prompt": "", "prompt": "a red apple"}
    per_scale = ["--guidance-scale", "1,2,3", "--temperature", "0.5"]
    assert main([*command, *per_scale, "--aspect", "3:2", "--out", str(out)]) == 0
    assert RunSpec.read_png(out).guidance["scale"] == (1.0, 2.0, 3.0)
    assert main([*command, "--faces", "--out", str(out)]) == 0
    assert RunSpec.read_png(out).inputs["faces"] is True
