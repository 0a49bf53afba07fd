"""The estimate of time beside what was measured."""

from __future__ import annotations

import pytest

from var_spaces.methods import parse
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.duration import DISK, gpu_seconds, operations
from var_spaces.zoo.estimate import encoder_bytes

# CPU seconds an image of t2i-bit: docs/results/search.json of commit 661159c, medians of its seeds.
MEASURED = {
    "plain": 0.098,
    "TTS-VAR N=1": 0.442,
    "best of 2": 0.164,
    "TTS-VAR N=2": 0.933,
    "best of 4": 0.350,
    "TTS-VAR N=4": 2.031,
    "best of 8": 0.698,
    "importance sampling of 4": 0.548,
    "TTS-VAR N=8": 4.521,
    "best of 16": 1.254,
    "TTS-VAR N=2, no clusters": 0.634,
}


def decoding(case: str):
    """The strategy that a case names."""
    case, *without = case.split(", no ")
    kind, _, count = case.rpartition(" ")
    if kind == "TTS-VAR":
        settings = {"candidates": int(count.removeprefix("N=")), "clustering": not without}
        return parse("decoding", {"name": "tts-var", **settings})
    names = {"best of": "best-of-n", "importance sampling of": "importance-sampling"}
    return parse("decoding", {"name": names[kind], "candidates": int(count)} if kind else "plain")


@pytest.mark.parametrize("case", MEASURED)
def test_products_explain_what_searches_took(case):
    card = get_card("t2i-bit")
    predicted, plain = (
        operations(card, card.schedule, 2, 1, decoding(name)) for name in (case, "plain")
    )
    wanted = MEASURED[case] / MEASURED["plain"]
    assert predicted / plain == pytest.approx(wanted, rel=0.3)


def test_what_reads_prompts_is_read_from_disk_too():
    card = get_card("infinity-2b")
    mute = card.model_copy(update={"text_encoder": None})
    more = encoder_bytes(card.text_encoder, "cuda") / DISK
    with_, without = (gpu_seconds(one, card.schedule, 2, 1) for one in (card, mute))
    assert with_ - without == pytest.approx(more, abs=1) and more > 1


def test_a_map_is_read_once_as_the_counted_operations_say():
    """docs/results/control_cost.md: Infinity-2B with and without a map, two and three rows."""
    control, schedule, plain = get_card("control-bit"), get_card("infinity-2b").schedule, "plain"
    large = get_card("infinity-2b")
    controlled = large.model_copy(update={"adapter": control.adapter})
    for rows, counted in ((2, 150.2 / 115.1), (3, 207.8 / 172.6)):
        with_, without = (
            operations(card, schedule, rows, 0, decoding(plain)) for card in (controlled, large)
        )
        assert with_ / without == pytest.approx(counted, rel=0.1)


def test_a_source_is_read_in_every_row():
    card = get_card("varedit-2b-512")
    tokens, seen = card.schedule.total, card.schedule.lengths[-1]
    without = card.model_copy(update={"adapter": None})
    for rows in (2, 6):
        with_, alone = (
            operations(one, card.schedule, rows, 0, decoding("plain")) for one in (card, without)
        )
        assert with_ / alone == pytest.approx(1 + seen / tokens)


def test_more_pictures_and_larger_ones_take_longer():
    var, two, eight = (get_card(name) for name in ("var-d30", "infinity-2b", "infinity-8b"))
    search = parse("decoding", "tts-var")
    asked = [
        gpu_seconds(var, var.schedule, 2, 1),
        gpu_seconds(var, var.schedule, 128, 64),
        gpu_seconds(var, var.schedule, 2, 1, search),
    ]
    assert asked[0] < min(asked[1:])
    small, large = (gpu_seconds(card, card.schedule, 2, 1) for card in (two, eight))
    assert small < large < gpu_seconds(eight, eight.schedule, 2, 1, search)
