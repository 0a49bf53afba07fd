"""KV bytes that are known before a run are those a model then fills, for all policies."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.calibrations import calibration
from tests.infinity import write_models
from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.cards import read_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.estimate import kv_bytes


@st.composite
def schedules(draw):
    """One token first, then maps of any shape, up to 6 scales."""
    side = st.integers(1, 5)
    more = draw(st.lists(st.tuples(side, side), min_size=1, max_size=5))
    return ScaleSchedule(((1, 1), *sorted(more, key=lambda size: size[0] * size[1])))


@pytest.fixture(scope="module")
def folder_of_calibrations(tmp_path_factory):
    """Calibrations of two layers and two heads for every number of scales."""
    folder = tmp_path_factory.mktemp("calibrations")
    for scales in range(2, 7):
        calibration(f"free-{scales}", 2, 2, tuple(range(1, scales + 1))).write(folder)
    return folder


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """Module of ``tiny-t2i``, which draws any schedule."""
    return build_from(write_models(tmp_path_factory.mktemp("models")) / "tiny-t2i")


def build_from(folder):
    return load_module(read_card(folder / "card.json"))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedule=schedules(), rows=st.integers(1, 3), data=st.data())
@pytest.mark.parametrize("cache", methods.names("cache"))
def test_kv_bytes_of_any_schedule_and_budget(
    text_model, folder_of_calibrations, cache, schedule, rows, data
):
    """What is known before, from shapes alone, is what a model then fills, layer by layer."""
    fields = methods.get("cache", cache).model_fields
    given_fields = {}
    if "budget" in fields:
        given_fields["budget"] = data.draw(st.sampled_from((0.05, 0.3, 0.7, 1.0)), label="budget")
    if "calibration" in fields:
        given_fields["calibration"] = f"free-{schedule.num_scales}"
    policy = methods.parse("cache", {"name": cache, **given_fields})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_CALIBRATIONS", str(folder_of_calibrations))
        try:
            held, peak = kv_bytes({"": text_model}, policy, schedule, {"": rows}, torch.float32)
        except VarSpacesError as refused:
            with pytest.raises(type(refused), match=re.escape(str(refused))):
                fill(text_model, policy, schedule, rows)
            return
        assert (held, peak) == fill(text_model, policy, schedule, rows)


@torch.no_grad()
def fill(model, policy, schedule, rows):
    """Bytes after every scale of a run of random inputs, and the largest allocation."""
    layers, heads, head_dim = model.kv_layout()
    sizes = {"layers": layers, "rows": rows, "heads": heads, "head_dim": head_dim}
    cache = policy.new_cache(schedule, **sizes, dtype=torch.float32, device="cpu")
    session = policy.session(cache, schedule)
    context = model.context(model.condition(model.empty_text([3] * rows)), schedule)
    held = []
    for scale, tokens in enumerate(schedule.lengths):
        x = torch.randn(rows, tokens, model.config.width)
        model.forward_scale(x, range(scale, scale + 1), context, cache)
        session.after_scale(scale)
        held.append(cache.nbytes)
    return tuple(held), cache.peak_bytes
