"""What a run needs, on the page: the numbers of an estimate, a verdict, refusals as they are."""

from __future__ import annotations

import re

import pytest

from var_spaces import api
from var_spaces.events import ScaleDone
from var_spaces.ui.app import build_app
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.needs import needs
from var_spaces.ui.form.values import KINDS
from var_spaces.ui.words import bytes_text
from var_spaces.zoo import fitting
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.residency import ZOO

FORM = Form("generate")
pytestmark = pytest.mark.usefixtures("models")


def filled(**changes) -> dict:
    """Values of a fresh form, with some changed by key, or a method by its kind."""
    values = FORM.defaults(get_card("tiny-styled"))
    chosen = {kind: {"name": changes.pop(kind)} for kind in KINDS if kind in changes}
    values["methods"] = {**values["methods"], **chosen}
    return values | changes


def sizes(html: str) -> dict[str, str]:
    """What the table says, by part."""
    rows = r'<th scope="row">(.*?)</th><td>(.*?)</td><td>(?:exact|estimate)</td>'
    return dict(re.findall(rows, html))


@pytest.mark.parametrize(
    "changes", [{"count": 3, "cache": "sliding-window"}, {"decoding": "best-of-n"}], ids=str
)
def test_the_table_is_what_a_run_then_measures(changes):
    values = filled(**changes)
    spec = FORM.spec(values)
    shown = sizes(needs(FORM, values))
    scales = [e for e in api.stream(spec, device="cpu") if isinstance(e, ScaleDone)]
    for scale in scales:
        height, width = scale.size
        assert shown[f"KV cache after {height}x{width}"] == bytes_text(scale.kv_bytes)
    assert {"weights of tiny-styled", "weights of tiny-vq", "needed at once"} < shown.keys()


@pytest.mark.parametrize(
    ("memory", "verdict"),
    [(10**12, "931 GiB are free on cpu: fits."), (1000, "does not fit; what would: a smaller m")],
)
def test_the_verdict(monkeypatch, memory, verdict):
    ZOO.clear()  # what is loaded needs no more room
    monkeypatch.setattr(fitting, "free_memory", lambda device: memory)
    assert verdict in needs(FORM, filled())


def test_refusals_are_shown_instead():
    assert "Did you mean &#x27;cat&#x27;?" in needs(FORM, filled(**{"inputs.class": "cta"}))
    assert "count = 0 is out of range" in needs(FORM, filled(count=0))


def test_it_answers_when_it_is_opened_and_when_a_setting_changes():
    config = build_app().config
    ids = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
    (shown,) = (i for i, name in ids.items() if name == "generate-needs")
    (answer,) = (d for d in config["dependencies"] if d["outputs"] == [shown])
    assert {event for _, event in answer["targets"]} == {"expand", "click"}
    assert len(answer["inputs"]) == len(FORM.keys)
    assert not any(name == "edit-needs" for name in ids.values())  # begins with a picture
