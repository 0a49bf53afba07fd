import gc
import io
import subprocess
import sys
import weakref
from itertools import zip_longest

import numpy as np
import pytest
import torch
from PIL import Image

import var_spaces
from var_spaces import RunSpec
from var_spaces.errors import UnknownName, VarSpacesError
from var_spaces.events import Finished, ImageReady, ScaleDone, Started

pytestmark = pytest.mark.usefixtures("use_tiny_models")


def draw(**settings):
    return var_spaces.generate(model="tiny-var", **settings)


def pixels(images):
    return [np.asarray(image) for image in images]


def test_load_gives_tokenizer_backbone_and_card():
    model = var_spaces.load("tiny-var")
    assert model.card.id == "tiny-var" and model.device.type == "cpu"
    assert model.backbone.config.num_classes == 3 and model.tokenizer.vocab_size == 32
    assert model.to("cpu").backbone is model.backbone
    assert var_spaces.load("tiny-tokenizer").backbone is None


def test_generate_returns_pictures_that_carry_their_own_spec(tmp_path):
    images = draw(class_="key", style="soft", seed=4, count=3, first=2)
    assert len(images) == 3 and all(i.size == (16, 16) and i.mode == "RGB" for i in images)
    images[1].save(tmp_path / "one.png")
    spec = RunSpec.read_png(tmp_path / "one.png")
    assert (spec.count, spec.first, spec.seed) == (1, 3, 4)
    assert dict(spec.inputs) == {"class": "key", "style": "soft"}
    assert RunSpec.from_json(images[1].info["var-spaces"]) == spec
    again = var_spaces.generate(spec)
    assert (np.asarray(again[0]) == np.asarray(images[1])).all()
    buffer = io.BytesIO()
    images[0].save(buffer, "JPEG")  # other formats have no place for it and do not mind
    assert Image.open(buffer).size == (16, 16)


def test_equal_specs_give_equal_bytes_and_other_seeds_other_ones():
    a, b, c = draw(class_=1, seed=7), draw(class_="key", seed=7), draw(class_=1, seed=8)
    assert (pixels(a)[0] == pixels(b)[0]).all()
    assert (pixels(a)[0] != pixels(c)[0]).any()


def test_image_i_of_a_run_equals_it_alone():
    together = pixels(draw(class_=0, count=4, smooth=True, guidance=3))
    for i, want in enumerate(together):
        alone = draw(class_=0, first=i, smooth=True, guidance=3)
        assert (pixels(alone)[0] == want).all()


def test_event_sequence_and_record():
    spec = RunSpec(model="tiny-var", inputs={"class": 2}, count=2)
    events = list(var_spaces.stream(spec))
    kinds = [Started, *[ScaleDone] * 3, *[ImageReady] * 2, Finished]
    assert [type(event) for event in events] == kinds
    started, finished = events[0], events[-1]
    assert started.model == "tiny-var" and started.schedule.num_scales == 3
    assert started.id == started.spec.id == finished.record.id
    assert dict(started.spec.inputs) == {"class": "banana", "style": None}
    record = finished.record
    assert [row.tokens for row in record.scales] == [1, 4, 16]
    assert record.seconds >= sum(row.seconds for row in record.scales)
    assert record.weights_sha256 == var_spaces.load("tiny-var").card.weights_sha256
    assert len(set(record.token_sha256)) == len(set(record.image_sha256)) == 2
    assert record.environment.device == "cpu"
    assert events[1].preview.shape == (2, 16, 16, 3)
    alone = list(var_spaces.stream(spec.replace(count=1, first=1), previews=False))
    assert alone[1].preview is None
    assert alone[-1].record.token_sha256 == record.token_sha256[1:]
    assert alone[-1].record.image_sha256 == record.image_sha256[1:]


def test_the_card_gives_defaults_and_keywords_change_them():
    def spec_of(**settings):
        return next(iter(var_spaces.stream(model="tiny-var", **settings))).spec

    assert spec_of().sampling["top_k"] == 16  # the card
    assert spec_of().guidance == {"name": "linear", "scale": 1.5}  # the spec
    changed = spec_of(top_k=5, smooth=True, guidance=2, cache="full", seed=3)
    assert (changed.sampling["top_k"], changed.sampling["smooth"]) == (5, True)
    assert changed.guidance["scale"] == 2.0 and changed.seed == 3
    whole = spec_of(sampling={"name": "top-k-top-p", "top_k": 7})
    assert whole.sampling["top_k"] == 7 and whole.sampling["top_p"] == 0.96
    assert spec_of(label="key").id == spec_of(class_=1).id


def test_a_loaded_model_draws():
    model = var_spaces.load("tiny-var")
    assert (pixels(model.generate(class_=0))[0] == pixels(draw(class_=0))[0]).all()
    assert isinstance(next(model.stream(class_=0)), Started)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_": "keys"}, "Did you mean 'key'"),
        ({"clas": "key"}, "Did you mean 'class'"),
        ({"sede": 3}, "Did you mean 'seed'"),
        ({"seed": -1}, "seed = -1 is out of range"),
        ({"seed": 2**63}, "seed"),
        ({"count": 0}, "count = 0 is out of range: allowed is 1 to 64"),
        ({"top_p": 1.5}, "top_p = 1.5 is out of range"),
        ({"guidance": "linaer"}, "Did you mean 'linear'"),
        ({"guidance": -1}, "scale = -1"),
        ({"decoding": "plian"}, "Did you mean 'plain'"),
        ({"task": "generat"}, "Did you mean 'generate'"),
        ({"schedule": [[1, 1]]}, "draws only its own schedule"),
        ({"device": "gpu"}, "Device 'gpu' is not available"),
        ({"spec": {"model": "tiny-var"}, "seed": 1}, "Give a spec or settings, not both"),
        ({"sampling": "top-k-top-p", "top_k": 3}, "inside the sampling method"),
    ],
)
def test_bad_input_is_refused_at_once_in_one_line(settings, message):
    if "spec" not in settings:
        settings = {"model": "tiny-var", **settings}
    with pytest.raises(VarSpacesError) as error:
        var_spaces.stream(**settings)  # not even iterated
    assert message in str(error.value) and "\n" not in str(error.value)


def test_unknown_models_are_refused():
    for call in (var_spaces.load, lambda name: var_spaces.generate(model=name)):
        with pytest.raises(UnknownName, match="Did you mean 'tiny-var'"):
            call("tiny-vax")


def test_two_streams_can_be_read_in_turns():
    settings = ({"class_": 0, "seed": 1}, {"class_": 2, "seed": 2, "count": 2})
    apart = [list(var_spaces.stream(model="tiny-var", **s))[-1] for s in settings]
    streams = [var_spaces.stream(model="tiny-var", **s) for s in settings]
    turns = [event for turn in zip_longest(*streams) for event in turn]
    together = [event for event in turns if isinstance(event, Finished)]
    for one, other in zip(apart, together, strict=True):
        assert one.record.token_sha256 == other.record.token_sha256
        assert one.record.image_sha256 == other.record.image_sha256


def test_closing_a_stream_frees_the_run_and_keeps_the_model():
    seen = []

    def observe(what, scale, tensor):
        if what == "f_hat":
            seen.append(weakref.ref(tensor))

    model = var_spaces.load("tiny-var")
    stream = var_spaces.stream(model="tiny-var", count=2, observe=observe)
    for _ in range(3):
        next(stream)
    assert any(ref() is not None for ref in seen)
    stream.close()
    gc.collect()
    assert len(seen) == 4 and not any(ref() for ref in seen)
    assert var_spaces.load("tiny-var").backbone is model.backbone


def test_modes_do_not_leak_while_the_consumer_has_control():
    for _ in var_spaces.stream(model="tiny-var"):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_refusing_input_needs_no_model_in_memory():
    code = (
        "import var_spaces\n"
        "try: var_spaces.generate(model='tiny-var', class_='cat')\n"
        "except ValueError: import sys; sys.exit('var_spaces.backbones.var' in sys.modules)\n"
        "sys.exit(2)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
