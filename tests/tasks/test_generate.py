import pytest

from tests.calibrations import calibration
from var_spaces import api, methods
from var_spaces.errors import UnknownName, VarSpacesError
from var_spaces.events import Started
from var_spaces.schedule import ScaleSchedule
from var_spaces.spec import RunSpec
from var_spaces.tasks.generate import Generate
from var_spaces.tasks.plan import plan
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.estimate import estimate


@pytest.fixture
def card(use_tiny_models):
    return get_card("tiny-var")


def test_a_run_tells_what_its_cache_policy_cannot_do(use_tiny_models):
    tight = {"name": "heatkv", "budget": 0.01}
    for cache, notes in ((tight, 1), ({"name": "heatkv", "budget": 0.9, "sinks": 1}, 0)):
        events = api.stream(model="tiny-var", cache=cache, previews=False)
        started = next(event for event in events if isinstance(event, Started))
        assert len(started.notes) == notes
    with pytest.warns(UserWarning, match="HeatKV keeps 0 of the first 3 scales whole"):
        api.generate(model="tiny-var", cache=tight)


def ask(**inputs):
    return methods.parse("task", {"name": "generate", **inputs})


@pytest.mark.parametrize("word", ["red apple", "Red Apple", " red apple ", 0, "0"])
def test_a_class_has_one_canonical_spelling(card, word):
    task = ask(**{"class": word}).resolve(card)
    assert task.label == "red apple"
    assert task.conditioning(card, 3).labels == (0, 0, 0)


def test_no_class_and_no_style_are_allowed(card):
    condition = ask().conditioning(card, 2)
    assert condition.labels == condition.styles == (None, None)


def test_styles_are_picked_alike(card):
    assert ask(style="DRAWN").conditioning(card, 1).styles == (1,)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"class": "red aple"}, "no class 'red aple'. Did you mean 'red apple'?"),
        ({"class": 3}, "no class '3'. It has 0 to 2: red apple, key, banana."),
        ({"class": -1}, "no class '-1'"),
        ({"class": ""}, "no class ''"),
        ({"style": "soft!"}, "no style 'soft!'. Did you mean 'soft'?"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(card, inputs, message):
    with pytest.raises(UnknownName) as error:
        ask(**inputs).resolve(card)
    assert message in str(error.value)


@pytest.mark.parametrize("value", [True, 1.5, ["key"], {"a": 1}])
def test_other_kinds_of_values_are_refused(value):
    with pytest.raises(VarSpacesError):
        ask(**{"class": value})


def test_the_plan_spells_a_spec_canonically(use_tiny_models):
    one = RunSpec(model="tiny-var", inputs={"class": 1, "style": "SOFT"})
    two = RunSpec(model="tiny-var", inputs={"class": "key", "style": "soft"}, schedule=SIZES)
    planned = plan(one)
    assert planned.spec.id == plan(two).spec.id
    assert dict(planned.spec.inputs) == {"class": "key", "style": "soft"}
    assert planned.spec.schedule is None
    assert planned.task == Generate(**{"class": "key", "style": "soft"})


SIZES = [[1, 1], [2, 2], [4, 4]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "tiny-vr"}, "Did you mean 'tiny-var'"),
        ({"model": "tiny-tokenizer"}, "is a tokenizer, not a generator"),
        ({"schedule": [[1, 1], [4, 4]]}, "draws only its own schedule (1x1 2x2 4x4)"),
        ({"inputs": {"class": "cat"}}, "has no class 'cat'"),
        ({"inputs": {"class": "9" * 5000}}, "has no class '9999"),  # more than Python reads
    ],
)
def test_what_cannot_run_is_refused_before_any_work(use_tiny_models, fields, message):
    with pytest.raises(VarSpacesError) as error:
        plan(RunSpec(**{"model": "tiny-var", **fields}))
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["scalekv", "hack", "heatkv"])
def test_a_policy_without_calibration_is_refused_before_any_work(
    use_tiny_models, monkeypatch, tmp_path, name
):
    spec = RunSpec(model="tiny-var", cache={"name": name})
    assert plan(spec).cache.name == name
    monkeypatch.setenv("VAR_SPACES_CALIBRATIONS", str(tmp_path))
    with pytest.raises(VarSpacesError, match="run 'python -m var_spaces calibrate MODEL' once"):
        plan(spec)
    assert plan(spec.replace(cache={"name": name, "budget": 1.0})).cache.budget == 1


@pytest.mark.parametrize(
    "cache",
    [
        {"name": "heatkv", "budget": 0.4},
        {"name": "quantised", "policy": "heatkv", "policy_budget": 0.4},
    ],
)
def test_of_two_calibrations_of_a_layout_the_models_own_is_taken(
    use_tiny_models, monkeypatch, tmp_path, cache
):
    """And in an estimate; of two strangers neither."""
    spec = RunSpec(model="tiny-var", cache=cache)
    monkeypatch.setenv("VAR_SPACES_CALIBRATIONS", str(tmp_path))
    for name in ("another", "one-more"):
        calibration(name, 2, 2, (1, 2, 4)).write(tmp_path)
    own = calibration("tiny-var", 2, 2, (1, 2, 4)).write(tmp_path)
    planned = plan(spec)
    inner = planned.cache.inner() if "policy" in cache else planned.cache
    assert inner._calibration(planned.schedule, 2, 2).model == "tiny-var"
    parts = {"cache": methods.parse("cache", spec.cache), "guidance": planned.guidance}
    assert estimate(planned.card, **parts).kv
    own.unlink()
    told = "one of another, one-more, or run 'python -m var_spaces calibrate MODEL'"
    with pytest.raises(VarSpacesError, match=told):
        plan(spec)
    with pytest.raises(VarSpacesError, match=told):
        estimate(planned.card, **parts)


def test_an_adapter_takes_the_calibration_of_its_base(tmp_path, monkeypatch):
    schedule = ScaleSchedule.square((1, 2, 4))
    monkeypatch.setenv("VAR_SPACES_CALIBRATIONS", str(tmp_path))
    for name in ("another", "base"):
        calibration(name, 2, 2, (1, 2, 4)).write(tmp_path)
    policy = methods.parse("cache", "heatkv").for_models(("own", "base"))
    assert policy._calibration(schedule, 2, 2).model == "base"
    calibration("own", 2, 2, (1, 3, 4)).write(tmp_path)  # measured on another list of scales
    assert policy._calibration(schedule, 2, 2).model == "own"
