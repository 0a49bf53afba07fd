"""The registry: lazy listing, one-line refusals, parse and dump."""

from __future__ import annotations

import textwrap
import threading
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from var_spaces import methods
from var_spaces.discovery import scan
from var_spaces.errors import UnknownName, VarSpacesError
from var_spaces.methods import Method, cli_options, dump, parse, register


class Toy(Method):
    kind = "toy"
    title = "A toy"


@register
class Sieve(Toy):
    """Every type of field a method may have."""

    name = "sieve"
    paper = "https://example.org/sieve"

    top_k: int = Field(900, ge=0, le=4096, description="codes kept")
    top_p: float = Field(0.5, gt=0, le=1)
    hard: bool = False
    order: Literal["up", "down"] = "up"
    sizes: tuple[int, ...] = (1, 2)
    limit: int | None = Field(None, ge=1)
    label: int | str = Field("x", alias="class")


@register
class Needy(Toy):
    name = "needy"
    depth: int = Field(ge=1)


def refusal(kind: str, value: object) -> str:
    with pytest.raises(VarSpacesError) as caught:
        parse(kind, value)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("params", "parts"),
    [
        ({"topk": 1}, ("unknown field 'topk'", "Did you mean 'top_k'?", "class, hard, limit")),
        ({"top_k": -1}, ("top_k = -1", "allowed is 0 to 4096")),
        ({"top_k": 5000}, ("top_k = 5000", "allowed is 0 to 4096")),
        ({"top_k": 1.5}, ("top_k = 1.5 must be a whole number",)),
        ({"top_k": True}, ("top_k = True must be a whole number",)),
        ({"top_k": "9"}, ("top_k = '9' must be a whole number",)),
        ({"top_p": 0}, ("top_p = 0", "allowed is above 0 and at most 1")),
        ({"top_p": float("nan")}, ("top_p = nan", "finite")),
        ({"hard": 1}, ("hard = 1 must be true or false",)),
        ({"order": "left"}, ("order = 'left'", "'up' or 'down'")),
        ({"sizes": [1, "2"]}, ("sizes[1] = '2' must be a whole number",)),
        ({"limit": 0}, ("limit = 0", "allowed is at least 1")),
        ({"class": "a" * 200, "top_k": "b" * 200}, ("top_k = 'bbb", "... must be")),
    ],
)
def test_refused_parameters_say_what_is_allowed(params, parts):
    message = refusal("toy", {"name": "sieve", **params})
    assert message.startswith("toy 'sieve': ")
    assert len(message) < 200
    for part in parts:
        assert part in message


def test_direct_construction_refuses_in_the_same_words():
    with pytest.raises(VarSpacesError, match="top_k = -1 is out of range: allowed is 0 to 4096"):
        Sieve(top_k=-1)


def test_missing_parameter_is_named():
    assert refusal("toy", "needy") == "toy 'needy': the field 'depth' is missing."


def test_unknown_names_get_the_nearest():
    assert "Did you mean 'sieve'?" in refusal("toy", {"name": "seive"})
    assert "Available: needy, sieve." in refusal("toy", {"name": "zzzzz"})
    assert "Did you mean 'toy'?" in refusal("toys", "sieve")
    with pytest.raises(UnknownName):
        methods.get("toy", "nothing")


@pytest.mark.parametrize("value", [None, 3, [], {}, {"top_k": 1}, {"name": "sieve", 3: 4}])
def test_what_is_no_method_is_refused(value):
    assert "does not describe a toy method" in refusal("toy", value)


@pytest.mark.parametrize("name", [3, None, ["sieve"], {}])
def test_a_name_is_text(name):
    assert "Unknown toy" in refusal("toy", {"name": name})


def test_methods_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Sieve().top_k = 3


def test_dump_is_complete_and_uses_json_names():
    assert dump(parse("toy", {"name": "sieve", "top_p": 1})) == {
        "name": "sieve",
        "top_k": 900,
        "top_p": 1.0,
        "hard": False,
        "order": "up",
        "sizes": [1, 2],
        "limit": None,
        "class": "x",
    }


@given(
    st.builds(
        dict,
        top_k=st.integers(0, 4096),
        top_p=st.floats(0, 1, exclude_min=True),
        hard=st.booleans(),
        order=st.sampled_from(["up", "down"]),
        sizes=st.lists(st.integers()),
        limit=st.none() | st.integers(1),
    )
)
def test_parse_and_dump_round_trip(params):
    method = Sieve(**params)
    assert parse("toy", dump(method)) == method
    assert dump(parse("toy", dump(method))) == dump(method)
    assert hash(parse("toy", dump(method))) == hash(method)


def test_parse_takes_names_and_methods():
    assert parse("toy", "sieve") == Sieve()
    assert parse("toy", Sieve(top_k=3)).top_k == 3
    assert "does not describe a cache" in refusal("cache", Sieve())


def test_options_describe_every_field():
    options = {option.field: option for option in cli_options(Sieve)}
    top_k, top_p, sizes = options["top_k"], options["top_p"], options["sizes"]
    assert (top_k.flag, top_k.type, top_k.default, top_k.help) == (
        "--top-k",
        int,
        900,
        "codes kept",
    )
    assert top_k.range[:2] == (0, 4096)
    assert top_p.range == (0, 1, True, False)
    assert options["hard"].type is bool
    assert options["order"].choices == ("up", "down")
    assert (sizes.type, sizes.many, sizes.default) == (int, True, (1, 2))
    assert (options["limit"].type, options["limit"].range.low) == (int, 1)
    assert (options["class"].flag, options["class"].type) == ("--class", str)
    assert [o.required for o in cli_options(Needy)] == [True]


def test_options_refuse_what_no_flag_can_say():
    class Odd(Toy):
        name = "odd"
        table: dict[str, int] = Field(default={})

    with pytest.raises(VarSpacesError, match="the field 'table' has no plain type"):
        cli_options(Odd)


def test_register_refuses_a_second_owner_of_a_name():
    with pytest.raises(VarSpacesError, match="The toy 'sieve' exists twice"):
        register(type("Other", (Toy,), {"name": "sieve", "__module__": "elsewhere"}))
    assert register(Sieve) is Sieve


@pytest.mark.parametrize("labels", [{}, {"name": ""}, {"name": "Bad Name"}, {"name": 3}])
def test_register_refuses_bad_labels(labels):
    with pytest.raises(VarSpacesError, match="name"):
        register(type("Bad", (Toy,), {**labels, "__module__": __name__}))


@pytest.mark.parametrize("kind", methods.kinds())
def test_every_method_is_what_its_source_says(kind):
    for entry in methods.entries(kind):
        cls = methods.get(kind, entry.name)
        assert (cls.kind, cls.name, cls.title, cls.paper) == (
            entry.kind,
            entry.name,
            entry.title,
            entry.paper,
        )
        described = methods.describe(kind, entry.name)
        assert set(described["parameters"]) == set(cls.field_names())
        for option in cli_options(cls):
            assert option.help or cls.__module__ == __name__, f"{cls} {option.field}: describe it"


def test_built_in_kinds_exist():
    assert {"cache", "decoding", "guidance", "sampling", "task"} <= set(methods.kinds())


def test_concurrent_first_use_is_safe():
    found, barrier = [], threading.Barrier(8)

    def use():
        barrier.wait()
        found.append(methods.get("sampling", "top-k-top-p"))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


# --- discovery ----------------------------------------------------------------------------------


def package(tmp_path, **files):
    for name, text in files.items():
        path = tmp_path / "var_spaces" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").write_text(textwrap.dedent(text))
    return tmp_path


def test_scan_reads_labels_of_classes_and_their_bases(tmp_path):
    root = package(
        tmp_path,
        base="""
            class Policy(Method):
                kind: ClassVar[str] = "cache"
                paper = "https://example.org"
        """,
        cache__one="""
            import nothing_that_exists
            from var_spaces.base import Policy as Base

            @register
            class One(Base):
                name, title = "one", "The first"

            @methods.register
            class Two(One):
                name = "two"

            class Three(One):
                name = "three"
        """,
    )
    found = {entry.name: entry for entry in scan(root)}
    assert set(found) == {"one", "two"}
    assert found["one"].target == "var_spaces.cache.one:One"
    assert (found["two"].kind, found["two"].title) == ("cache", "The first")
    assert found["two"].paper == "https://example.org"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@register\nclass A:\n    kind = 'cache'\n", "var_spaces.a:A is registered without"),
        ("@register\nclass A:\n    kind, name, title = 'k', make(), 't'\n", "literal 'name'"),
        ("class A(:\n", "a.py, line 1"),
    ],
)
def test_scan_names_the_file_that_is_wrong(tmp_path, text, message):
    with pytest.raises(VarSpacesError, match=message):
        list(scan(package(tmp_path, a=text)))
