"""How a process uses its processor and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from var_spaces import cpu

ROOT = Path(__file__).parents[1]
MEMORY = """
import resource, torch
from var_spaces import cpu

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        torch.zeros(2**24)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])

torch.set_num_threads(1)
faults()
before = faults()
done = cpu.keep_memory(), cpu.keep_memory()
for _ in range(6):
    faults()
print(*done, before > 3 * 2**10, 10 * faults() < before, end=" ")
large = held()
cpu.return_memory()
print(large - held() > 2**15)
"""


CHOICES = ("MALLOC_", "GLIBC_T", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # of a host


def said(code: str, **environment: str) -> list[str]:
    """What a process of its own prints, on a host that has chosen only what is given."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(CHOICES)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(cpu._glibc() is None, reason="another C library")
def test_memory_that_was_freed_is_used_again_and_given_back_when_told():
    done, again, faults, fewer, returned = said(MEMORY)
    assert done == again
    if done == "True":  # old versions refuse
        assert (fewer, returned) == (faults, faults)


@pytest.mark.skipif(cpu._glibc() is None, reason="another C library")
def test_what_a_host_has_chosen_stays():
    assert said(MEMORY, MALLOC_ARENA_MAX="2")[:2] == ["False", "False"]


def test_another_library_is_no_error(monkeypatch):
    monkeypatch.setattr(cpu, "_glibc", lambda: None)
    cpu.return_memory()
    assert cpu.keep_memory.__wrapped__() is False


WAITS = """
import json, os, sys
from contextlib import suppress
from var_spaces.errors import VarSpacesError
from var_spaces.ui import app

def build_app():
    print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
    raise VarSpacesError("seen")

app.build_app = build_app
for told in json.loads(os.environ["HOSTS"]):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        os.environ.pop(name, None)
    os.environ.update(told)
    with suppress(SystemExit):
        app.main([])
"""


def test_a_page_shares_its_cores_unless_the_host_says_how_to_wait():
    """Three hosts, one after the other in a process that loads the page once."""
    hosts = {
        cpu.SPINS: {},
        "7": {"GOMP_SPINCOUNT": "7"},
        "None": {"OMP_WAIT_POLICY": "ACTIVE"},
    }
    found = said(WAITS, HOSTS=json.dumps(list(hosts.values())))
    assert found[::2] == list(hosts)
    assert found[1::2] == ["False"] * 3  # once torch is there it would do nothing


def test_any_order_ends_where_it_began():
    with pytest.raises(ZeroDivisionError), cpu.any_order(True):
        assert cpu.is_any_order()
        with cpu.any_order(False):
            assert not cpu.is_any_order()
        assert cpu.is_any_order()
        _ = 1 / 0
    assert not cpu.is_any_order()
