"""A vote is about a battle that was drawn here, once, and is kept whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from var_spaces import RunSpec
from var_spaces.compare import votes
from var_spaces.compare.battle import Battle
from var_spaces.compare.rounds import Rounds
from var_spaces.errors import VarSpacesError

ROOT = Path(__file__).parents[2]
RUN = RunSpec(model="tiny-var", inputs={"class": "key"}, seed=4)
BATTLE = Battle("x", "y", (RUN, RUN.replace(seed=5)))
ADDING = """
import sys
from pathlib import Path
from var_spaces.compare import votes
vote = votes.Vote(when=5, a="x", b="y", run_a="0" * 16, run_b="1" * 16, winner="a")
for _ in range(int(sys.argv[2])):
    votes.add(vote, Path(sys.argv[1]))
"""
FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
"""


@pytest.mark.parametrize("named", [True, False])
def test_without_a_home_it_is_one_line(named, monkeypatch):
    def nobody(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv(votes.VARIABLE, raising=False)
    if named:
        monkeypatch.setenv(votes.VARIABLE, "~/votes.jsonl")
    with pytest.raises(VarSpacesError, match="set HOME"):
        votes.place()


def test_one_battle_takes_one_vote_of_eight_at_once():
    rounds, kept = Rounds(), []
    ticket = rounds.open(BATTLE)

    def vote(_: int) -> bool:
        try:
            rounds.vote(ticket, kept.append)
        except VarSpacesError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(vote, range(8))) == 1
    assert kept == [BATTLE]


@pytest.mark.parametrize("ticket", [None, "", "invented"])
def test_a_battle_that_was_not_drawn_here_takes_none(ticket):
    with pytest.raises(VarSpacesError, match="nothing to vote on"):
        Rounds().vote(ticket, lambda _: None)


def test_battles_are_forgotten_in_the_end():
    now = [0.0]
    rounds = Rounds(most=2, age=10, clock=lambda: now[0])
    first, second, third = (rounds.open(BATTLE) for _ in range(3))
    with pytest.raises(VarSpacesError):
        rounds.vote(first, lambda _: None)
    assert rounds.vote(second, lambda _: None) is BATTLE
    now[0] = 11.0
    with pytest.raises(VarSpacesError):
        rounds.vote(third, lambda _: None)


def test_a_vote_that_cannot_be_kept_may_be_given_again():
    rounds = Rounds()
    ticket = rounds.open(BATTLE)

    def full(_: Battle) -> None:
        raise VarSpacesError("The vote cannot be kept.")

    with pytest.raises(VarSpacesError, match="cannot be kept"):
        rounds.vote(ticket, full)
    assert rounds.vote(ticket, lambda _: None) is BATTLE


def add(path: Path, count: int, before: str = "") -> subprocess.Popen:
    command = [sys.executable, "-c", before + ADDING, str(path), str(count)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a process")
def test_on_a_full_disk_nobody_is_thanked_for_nothing(tmp_path):
    """The file may have 400 bytes, a vote has 123: three fit, and a part of the fourth."""
    path = tmp_path / "votes.jsonl"
    process = add(path, 9, FULL)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "The vote cannot be kept" in said
    found, damaged = votes.read(path)
    assert (len(found), damaged) == (3, 0)
    assert path.read_bytes().endswith(b"\n")
    assert add(path, 1).wait(60) == 0  # and when there is room again
    assert len(votes.read(path)[0]) == 4


def test_two_servers_write_into_one_file(tmp_path):
    path = tmp_path / "votes.jsonl"
    both = [add(path, 40), add(path, 40)]
    assert [process.wait(60) for process in both] == [0, 0]
    found, damaged = votes.read(path)
    assert (len(found), damaged) == (80, 0)


def test_half_a_line_of_another_program_spoils_no_vote(tmp_path):
    path = tmp_path / "votes.jsonl"
    path.write_bytes(b'{"version":1,"when"')
    votes.add(BATTLE.vote("a", 5), path)
    found, damaged = votes.read(path)
    assert (len(found), damaged) == (1, 1)


def test_a_ticket_that_is_given_back_is_as_old_as_it_was():
    now = [0.0]
    rounds = Rounds(age=10, clock=lambda: now[0])
    ticket = rounds.open(BATTLE)

    def full(_: Battle) -> None:
        raise VarSpacesError("full")

    now[0] = 9.0
    with pytest.raises(VarSpacesError, match="full"):
        rounds.vote(ticket, full)
    now[0] = 11.0
    with pytest.raises(VarSpacesError, match="nothing to vote on"):
        rounds.vote(ticket, lambda _: None)
