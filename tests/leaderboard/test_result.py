"""Results survive their JSON, and say what they are."""

from __future__ import annotations

import pytest

from leaderboard.entry import Entry, label, part_label
from leaderboard.result import Result, Samples
from tests.leaderboard.results import ENTRY, pair
from var_spaces.errors import UnknownName, VarSpacesError
from var_spaces.validation import freeze


def test_round_trip():
    result, samples = pair(3)
    again = Result.from_json(result.to_json())
    assert again == result
    assert (again.id, again.key, again.fingerprint) == (result.id, result.key, result.fingerprint)
    assert Samples.from_json(samples.to_json()).digest == result.samples_sha256


def test_fingerprint_is_of_what_running_again_gives():
    result, _ = pair(1)
    later = result.model_copy(update={"created": "2027-01-01T00:00:00Z"})
    assert later.fingerprint == result.fingerprint
    assert later.id != result.id
    better, _ = pair(1, scores=pair(2)[0].scores)
    assert better.fingerprint != result.fingerprint
    assert better.key == result.key


def test_a_new_parameter_of_a_method_does_not_change_old_results():
    """An entry is kept as it was run, whatever the classes of its methods have become."""
    old = {**ENTRY, "cache": {"name": "hack"}}  # without the parameters HACK has today
    result, _ = pair(0, entry=old)
    assert Result.from_json(result.to_json()).entry["cache"] == {"name": "hack"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entry": {}}, "the entry lacks"),
        ({"n": 0}, "n"),
        ({"suite": "A b"}, "suite"),
        ({"created": "yesterday"}, "created"),
        ({"scores": ({"metric": "x"},)}, "title"),
        ({"color": 1}, "color"),
    ],
)
def test_refusals_are_one_line(change, message):
    with pytest.raises(VarSpacesError, match=message) as refusal:
        pair(0, **change)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["[]", "{", '{"version": 2}', "{}", '{"version": 1, "n": NaN}'])
def test_bad_files_are_refused(text):
    for kind in (Result, Samples):
        with pytest.raises(VarSpacesError):
            kind.from_json(text)


def test_entry_takes_the_defaults_of_the_card():
    entry = Entry.of("var-small", cache={"name": "hack", "budget": 0.25})
    assert entry.guidance["scale"] == 2.5
    assert entry.label == "var-small + hack(budget=0.25)"
    assert entry.plain().label == "var-small"
    assert Entry(**entry.model_dump(mode="json")) == entry
    spec = entry.spec("generate", {"class": "key"}, seed=1, first=3, count=2)
    assert (spec.cache["budget"], spec.first, spec.count) == (0.25, 3, 2)


def test_a_model_as_its_card_has_it_goes_by_its_name_alone():
    """Settings that are lists, too, of an entry that was just made and of one from a file."""
    made = Entry.of("t2i-refined")
    told = made.model_dump(mode="json")
    assert isinstance(told["sampling"]["temperature"], list)
    assert made.label == label(told) == label(freeze(told)) == "t2i-refined"


def test_entry_refuses_unknown_names():
    with pytest.raises(VarSpacesError, match="Did you mean 'hack'"):
        Entry.of("var-small", cache="hakc")
    with pytest.raises(UnknownName, match="Did you mean 'var-small'"):
        Entry.of("var-smal")


def test_labels_of_what_is_not_here():
    other = {**ENTRY, "model": "gone", "cache": {"name": "other", "share": 0.5}}
    assert label(other).startswith("gone + top-k-top-p")
    assert part_label("cache", other["cache"]) == "other(share=0.5)"
