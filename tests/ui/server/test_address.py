"""Who is counted for a request: never whom its sender names."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from starlette.requests import HTTPConnection

from tests.coroutines import finished
from var_spaces.errors import VarSpacesError
from var_spaces.ui.server import hourly
from var_spaces.ui.server.address import ASKED_FOR, VARIABLE, Agents, address
from var_spaces.ui.server.hourly import HOUR, Hourly


def request(forwarded: str = "", host: str = "10.0.0.1") -> SimpleNamespace:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    return SimpleNamespace(headers=headers, client=SimpleNamespace(host=host))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        ("", "1.2.3.4", "10.0.0.1"),  # nobody said that there is a proxy
        ("0", "1.2.3.4", "10.0.0.1"),
        ("1", "9.9.9.9, 1.2.3.4", "1.2.3.4"),  # the first is the visitor's invention
        ("2", "9.9.9.9, 1.2.3.4, 5.6.7.8", "1.2.3.4"),
        ("2", "1.2.3.4", "10.0.0.1"),  # shorter than it can be
        ("1", "<script>", "10.0.0.1"),
        ("1", "", "10.0.0.1"),
    ],
)
def test_only_proxies_of_the_owner_are_believed(proxies, forwarded, expected, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setenv(VARIABLE, proxies)
    assert address(request(forwarded)) == expected


def test_a_space_is_behind_its_proxy(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "a/b")
    monkeypatch.delenv(VARIABLE, raising=False)
    # from left to right: invented, the visitor, the platform's own network
    assert address(request("8.8.8.8, 1.2.3.4, 10.1.2.3")) == "1.2.3.4"
    assert address(request("nonsense")) == "10.0.0.1"


def test_nobody_can_say_that_an_agent_asks(monkeypatch):
    """The header of the server for agents holds a secret; another one is none, and is replaced."""
    monkeypatch.delenv(VARIABLE, raising=False)
    forged = request()
    forged.headers[ASKED_FOR] = "0000 9.9.9.9"
    assert address(forged) == "10.0.0.1"
    seen = []

    async def app(scope, receive, send):
        seen.append(address(HTTPConnection({**scope, "client": ("127.0.0.1", 1)})))

    headers = [(ASKED_FOR.encode(), b"0000 9.9.9.9")]
    for path in ("/gradio_api/mcp/", "/gradio_api/queue/join"):
        scope = {"type": "http", "path": path, "headers": headers, "client": ("10.0.0.7", 1)}
        finished(Agents(app)(scope, None, None))
    assert seen == ["10.0.0.7", "127.0.0.1"]


@pytest.mark.parametrize("text", ["10", "-1", "many", "²"])
def test_a_wrong_number_of_proxies_is_refused(text, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(VarSpacesError, match="whole number from 0 to 9"):
        address(request())


def test_a_network_of_one_customer_counts_as_one():
    first, second, other = (
        address(request(host=host))
        for host in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1")
    )
    assert first == second != other
    assert address(request(host="::ffff:1.2.3.4")) == "1.2.3.4"


def test_addresses_are_forgotten_in_the_end(monkeypatch):
    monkeypatch.setattr(hourly, "MAX_ADDRESSES", 10)
    counted = Hourly(1, "run", lambda: 0.0)
    for number in range(30):
        assert counted.refusal(str(number)) is None
    assert len(counted._taken) == 10
    assert counted.refusal("29") is not None
    assert counted.refusal("0") is None  # its turn was forgotten


def test_any_number_of_small_things_takes_little_memory():
    now = [0.0]
    counted = Hourly(1e6, "byte", lambda: now[0])
    for number in range(20_000):
        now[0] = number / 10
        assert counted.refusal("a", number % 2) is None
    assert len(counted._taken["a"]) < 1000
    assert counted.refusal("a", 1e6 - 10_000) is None
    assert counted.refusal("a", 1) is not None


def test_pages_share_a_count(monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MAX_VOTES_PER_HOUR", "3")
    first = hourly.shared("max_votes_per_hour", "vote")
    assert first.most == 3 and hourly.shared("max_votes_per_hour", "vote") is first
    monkeypatch.setenv("VAR_SPACES_MAX_VOTES_PER_HOUR", "4")
    assert hourly.shared("max_votes_per_hour", "vote").most == 4


def test_what_is_refused_does_not_count():
    now = [0.0]
    counted = Hourly(10, "byte", lambda: now[0])
    assert counted.refusal("a", 8) is None
    assert counted.refusal("a", 3) is not None
    assert counted.refusal("a", 2) is None
    now[0] = HOUR
    assert counted.refusal("a", 10) is None
