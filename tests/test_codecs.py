"""Hostile JSON and links: one line each."""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec

SPEC = RunSpec(model="var-small", inputs={"class": "red apple"}, seed=7)


def refusal(call, *args, **kwargs) -> str:
    with pytest.raises(VarSpacesError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        (b"\xff\xfe", "is not UTF-8"),
        ('"\\ud800"', "half of a Unicode character"),
        ('{"seed":NaN}', "not finite"),
        ('{"seed":-Infinity}', "not finite"),
        ('{"seed":1e999}', "not finite"),
        ('{"seed":9223372036854775808}', "beyond 63 bits"),
        ('{"seed":' + "9" * 5000 + "}", "beyond 63 bits"),
        ('{"seed":1,"seed":2}', "the key 'seed' twice"),
        ("[" * 9 + "]" * 9, "nested deeper than the allowed 8 levels"),
        ("[" * 30_000, "nested deeper"),
        ('{"a":' * 10_000, "nested deeper"),
        (" " * 70_000, "larger than the allowed 64 kB"),
        ('{"version":2}', "version 2; this program reads version 1"),
        ('{"version":"1"}', "version '1'"),
    ],
)
def test_hostile_json_is_refused(text, part):
    assert part in refusal(RunSpec.from_json, text)


def test_a_key_that_comes_twice_is_found_at_once():
    """A million bytes of keys, where looking for each among all others would take an hour."""
    keys = ",".join(f'"{number:x}":0' for number in range(90_000))
    message = refusal(codecs.parse_json, f'{{{keys},"15f8f":0}}', "It", 1 << 20)
    assert message == "It has the key '15f8f' twice."


def test_brackets_inside_text_are_no_depth():
    assert codecs.parse_json('{"a":"[[[[[[[[[[[[\\"[[[["}', "x") == {"a": '[[[[[[[[[[[["[[[['}


def test_byte_order_mark_is_read():
    assert RunSpec.from_json(b"\xef\xbb\xbf" + SPEC.to_json().encode()) == SPEC


def pack(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize(
    ("link", "part"),
    [
        ("!", "damaged"),
        ("é", "damaged"),
        ("a", "damaged"),
        ("=" * 9, "damaged"),
        (pack(b"plain"), "damaged"),
        (pack(zlib.compress(b"{}")[:-1]), "damaged"),
        (pack(zlib.compress(b"{}") + b"x"), "damaged"),
        (pack(zlib.compress(b" " * 10_000_000, 9))[:1990], "more than 64 kB"),
        (pack(zlib.compress(b"[1]")), "must be a JSON object"),
        ("a" * 2001, "longer than 2000"),
    ],
)
def test_hostile_links_are_refused(link, part):
    assert part in refusal(RunSpec.from_link, link)


@given(st.text(max_size=300) | st.binary(max_size=300).map(pack))
def test_any_link_is_read_or_refused_in_one_line(link):
    refusal(RunSpec.from_link, link)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_text_is_read_or_refused_in_one_line(text):
    refusal(RunSpec.from_json, text)
