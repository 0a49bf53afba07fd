"""The command that a page of results names."""

from __future__ import annotations

import pytest

from benchmarks.report import asked


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], ""),
        (["control", "--steps", "300"], " control --steps 300"),
        (["--models", "var-ten", "var-base", "--budgets", "0.1"], None),
        (["--cells", "a.jsonl", "--images", "8", "--minutes=3"], " --images 8"),
        (["--models", "runs/models", "--every=2"], " --models FOLDER --every 2"),
        (["--cases", "no words", "--repo=runs/old"], " --cases 'no words' --repo FOLDER"),
    ],
)
def test_a_page_names_what_was_asked_for_and_no_place_of_the_machine(given, said):
    said = " " + " ".join(given) if said is None else said
    assert (
        asked(["runs/checkout/benchmarks/cache.py", *given]) == f"python benchmarks/cache.py{said}"
    )
