"""Published rows: commands that would start, numbers that are counted, the page made from both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from leaderboard.cli import main
from leaderboard.counted import agrees, counted
from leaderboard.papers import paper_row, paper_rows
from leaderboard.reproduction import markdown, reproduced, would_start
from leaderboard.result import Score
from leaderboard.sound import stale
from leaderboard.store import Store, index, open_store
from leaderboard.store.folder import FolderBackend
from leaderboard.store.places import SEEDED
from leaderboard.suites.base import get_suite
from leaderboard.table.board import Source
from tests.leaderboard.results import pair
from var_spaces import methods
from var_spaces.zoo.cards import get_card

PAGE = Path(__file__).parents[2] / "docs" / "reproduction.md"
SYSTEMS = (
    "VAR", "FlexVAR", "HMAR", "Infinity", "ScaleKV", "HACK", "CoDe", "VARiant", "TTS-VAR",
    "VAREdit", "CSD-VAR", "ARBooth", "EchoGen", "ScaleWeaver", "FVQ",
)  # fmt: skip
COUNTED = [row for row in paper_rows().values() if row.counted]


def test_every_system_has_rows():
    assert tuple(dict.fromkeys(row.system for row in paper_rows().values())) == SYSTEMS
    for row in paper_rows().values():
        assert sum(map(bool, (row.suite, row.counted, row.missing))) == 1, row.id
        assert all(value > 0 for value in {**row.published, **row.counted}.values())
        assert row.paper.startswith("https://arxiv.org/abs/") and len(row.date) == 7


def test_every_command_would_start(capsys):
    assert main(["reproduce", "--all", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["row"] for one in found] == list(paper_rows())
    states = {one["row"]: one for one in found}
    assert not [one for one in found if one["state"] == "broken"]
    assert states["var-d16-size"] == {"row": "var-d16-size", "state": "starts", "why": ""}
    assert states["variant-d16"]["state"] == "cannot run"
    assert all(one["why"] for one in found if one["state"] in ("waits", "cannot run"))
    hack = states["hack-2b-geneval"]
    assert hack["state"] == "waits" and "calibrate" in hack["why"]


EVALUATED = {  # guidance and temperature at which the papers took their numbers
    "hmar-d30": (1.6, 1.0),
    "infinity-2b-geneval": (4, 1),
    "infinity-2b-dpg": (4, 1),
    "infinity-2b-hps": (4, 1),
    "tts-var-2b-plain": (3, 0.5),
    "tts-var-2b-8": (3, 0.5),
    "tts-var-8b-4": (3, 0.5),
    "scalekv-infinity-2b-snapkv-20": (3, 1),
    "scalekv-infinity-2b-scalekv-10": (3, 1),
    "scalekv-infinity-8b-scalekv-4": (3, 1),
}


@pytest.mark.parametrize("row", EVALUATED)
def test_a_row_is_drawn_as_the_paper_evaluated(row):
    """Papers evaluate with other settings than their demonstrations, which cards carry."""
    entry = paper_row(row).entry()
    given = entry.guidance["scale"], entry.sampling["temperature"]
    assert tuple(x[0] if isinstance(x, tuple) else x for x in given) == EVALUATED[row]


def test_code_rows_draw_as_their_drafters_do():
    row = paper_row("code-6")
    assert row.entry().sampling == get_card(row.model).default("sampling")
    assert row.entry().sampling["top_k"] == (600,)


def test_scalekv_rows_keep_what_was_released():
    """Shares of the 6,425 tokens before the last scale, in whole tokens: 1300, 650 and 265."""
    rows = [row for row in paper_rows().values() if row.suite and row.system == "ScaleKV"]
    assert len(rows) == 34
    schedule, kept = get_card("infinity-2b").schedule, {20: 1300, 10: 650, 4: 265}
    for row in rows:
        policy = methods.parse("cache", row.entry().cache)
        share = kept[int(row.id.split("-")[-1])] if row.suite == "coco-5k" else kept[10]
        assert round(policy.budget * schedule.offsets[-2]) in (share, share + 1)
        if policy.name == "scalekv":
            assert (policy.uniform(schedule), policy.scoring) == (share, "reference")


def test_a_wrong_row_is_broken(capsys, monkeypatch):
    row = paper_row("var-d16")
    for change, why in (
        ({"parts": {"cache": {"name": "sliding-window", "budget": 7}}}, "budget"),
        ({"model": "var-d61"}, "var-d61"),
        ({"model": "infinity-2b", "parts": {}}, "no classes"),
        ({"suite": "imagenet-265"}, "imagenet"),
    ):
        right, told = would_start(replace(row, **change))
        assert not right and why in told, (change, told)
    broken = {row.id: replace(row, suite="imagenet-265")}
    monkeypatch.setattr("leaderboard.papers.paper_rows", lambda: broken)
    monkeypatch.setattr("leaderboard.cli.reproduce.paper_rows", lambda: broken)
    assert main(["reproduce", "--all", "--dry-run"]) == 1
    assert "1 broken" in capsys.readouterr().out


@pytest.mark.parametrize("row", COUNTED, ids=lambda row: row.id)
def test_counted_numbers_are_the_papers(row):
    found = reproduced(row, ())
    near = {"var-d20-size", "code-cache-drafter", "variant-cache-full"}  # 600.9 M; measured bytes
    differs = {"var-d36-512-size"}  # 2.354 B, published as 2.3
    expected = "near" if row.id in near else "differs" if row.id in differs else "the same"
    assert (found.status, found.verdict) == ("counted", expected), found.numbers


def test_caches_are_counted_by_the_formula():
    """2 rows, all layers, keys in four bytes and values in two."""
    for id, tokens, depth, width in (
        ("code-cache-drafter", 680, 30, 1920),
        ("scalekv-2b-cache-full", 6425, 32, 2048),
        ("scalekv-8b-cache-10", 650, 40, 3584),
    ):
        row = paper_row(id)
        expected = 2 * row.count * tokens * depth * width * 6 / 2**20
        assert next(iter(counted(row).values())) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("published", "ours", "same"),
    [(310, 310.28, True), (310, 310.6, False), (2.0, 2.01, True), (2.0, 2.06, False),
     (467691904, 467691904, True), (467691904, 467691905, False)],
)  # fmt: skip
def test_agreement_is_that_of_the_published_digits(published, ours, same):
    assert agrees(published, ours) is same


def test_published_numbers_have_the_places_of_their_paper():
    """JSON knows no 3.30; 0.10 is not the same as 0.14, which 0.1 would be."""
    row = paper_row("var-d16")
    assert (repr(row.published["frechet"]), row.published["frechet"]) == ("3.30", 3.3)
    assert agrees(row.published["frechet"], 3.304) and not agrees(row.published["frechet"], 3.34)
    assert "frechet 3.30; inception-score 274.4" in PAGE.read_text()
    places = {}
    for one in paper_rows().values():
        for name, value in one.published.items():
            places.setdefault((one.system, name), {})[one.id] = len(repr(value).partition(".")[2])
    uneven = {key: found for key, found in places.items() if len(set(found.values())) > 1}
    assert not uneven


def test_the_same_is_near_too():
    """One number the same though more than two per cent away, as coarse ones are, one near."""
    row = replace(paper_row("var-d16"), suite="smoke", published={"p": 0.06, "q": 20.0})
    scores = tuple(
        Score(metric=f"{name}@1", title=name, value=value, n=2, better="lower")
        for name, value in (("p", 0.0635), ("q", 20.3))
    )
    entry = row.entry().model_dump(mode="json")
    result, _ = pair(protocol=get_suite("smoke").protocol, entry=entry, scores=scores)
    assert reproduced(row, [index.row(result)]).verdict == "near"


def test_our_numbers_stand_beside_theirs():
    row = replace(paper_row("var-d16"), suite="smoke", published={"psnr": 20.0, "ssim": 0.5})
    suite = get_suite("smoke")

    def result(number, value):
        score = Score(metric="psnr@1 N=2", title="PSNR", value=value, n=2, better="higher")
        entry = row.entry().model_dump(mode="json")
        return pair(number, protocol=suite.protocol, entry=entry, scores=(score,))[0]

    for value, verdict in ((20.0, "the same"), (20.3, "near"), (25.0, "differs")):
        rows = [index.row(result(1, 1.0)), index.row(result(2, value))]
        found = reproduced(row, rows)
        assert (found.status, found.verdict) == ("measured", verdict)
        assert found.numbers == {"psnr": (20.0, value), "ssim": (0.5, None)}
        assert found.result == rows[1]["id"]  # the newest
    told = f"| psnr 20; ssim 0.5 | 25 | measured: differs | -; cpu, 2026-01-01 | `{row.command()}`"
    assert told in markdown([found])


def test_the_page_is_that_of_the_source():
    rows = Source.of([open_store(SEEDED)]).rows
    made = markdown([reproduced(row, rows) for row in paper_rows().values()])
    assert PAGE.read_text() == made, "python -m leaderboard reproduce --all --markdown"
    assert all(f"\n## {system}\n" in made for system in SYSTEMS)


def test_stale_rows_are_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("leaderboard.store.places.SEEDED", tmp_path / "seeded")
    store = Store(FolderBackend(tmp_path / "store"))
    protocol = get_suite("smoke").protocol
    weights = {"var-small": get_card("var-small").weights_sha256}
    today = {"protocol": protocol, "weights": weights}
    entry = pair()[0].entry
    store.add(*pair(1, **today))
    assert stale(store) == []
    store.add(*pair(2, protocol="smoke v0 00000000", weights=weights))
    store.add(*pair(3, protocol=protocol))
    store.add(*pair(4, **today, entry={**entry, "cache": {"name": "gone"}}))
    store.add(*pair(5, suite="gone", protocol="gone v1 00000000", weights=weights))
    found = " ".join(stale(store))
    for why in ("is of 'smoke v0", "other weights of var-small", "'gone'"):
        assert why in found
    assert len(stale(store)) == 4
    assert main(["validate", "--store", str(tmp_path / "store")]) == 0
    assert "5 results, 0 problems, 4 stale" in capsys.readouterr().out
