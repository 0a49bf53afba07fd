"""Run records."""

from __future__ import annotations

import pytest

from var_spaces.errors import VarSpacesError
from var_spaces.record import Environment, RunRecord, ScaleRow
from var_spaces.spec import RunSpec

SPEC = RunSpec(model="var-small", inputs={"class": "red apple"}, seed=7)


def refusal(call, *args, **kwargs) -> str:
    with pytest.raises(VarSpacesError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


def record(**changes) -> RunRecord:
    fields = {
        "spec": SPEC,
        "id": SPEC.id,
        "scales": [
            ScaleRow(scale=0, size=(1, 1), tokens=1, seconds=0.01, kv_bytes=64),
            ScaleRow(scale=1, size=(2, 2), tokens=4, seconds=0.02, kv_bytes=320),
        ],
        "seconds": 0.04,
        "token_sha256": ["0" * 64],
        "image_sha256": ["1" * 64],
        "weights_sha256": "2" * 64,
        "environment": Environment.current(device="cpu", threads=2),
    }
    return RunRecord(**{**fields, **changes})


def test_record_round_trip():
    first = record()
    assert RunRecord.from_json(first.to_json()) == first
    assert RunRecord.from_json(first.to_json()).to_json() == first.to_json()
    assert first.spec.id == first.id
    assert first.scales[1].size == (2, 2)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"id": "0" * 16}, "is not the id"),
        ({"image_sha256": []}, "0 image hashes for 1 images"),
        ({"token_sha256": ["0" * 63]}, "token_sha256[0]"),
        ({"seconds": -1.0}, "seconds = -1.0"),
        ({"scales": [{"scale": 0}]}, "is missing"),
        ({"speed": 1}, "unknown field 'speed'"),
    ],
)
def test_records_refuse_nonsense(change, part):
    assert part in refusal(record, **change)


def test_environment_knows_the_package():
    import torch

    import var_spaces

    here = Environment.current(device="cpu", threads=1)
    assert here.package == var_spaces.__version__
    assert here.torch == torch.__version__
    assert here.python.startswith("3.")
