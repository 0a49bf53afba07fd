"""The engine on two nodes: the same events as here, who leaves is gone, who dies costs one line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from var_spaces import api
from var_spaces.errors import VarSpacesError
from var_spaces.events import Finished, ImageReady, ScaleDone, Started
from var_spaces.remote import engine as engines

CLASSES = 3


@pytest.fixture(scope="module")
def deployed(nodes) -> Iterator[None]:
    """Two replicas, and this process as a page that draws there."""
    from ray import serve

    from var_spaces.serve.__main__ import deploy
    from var_spaces.serve.replica import Size

    nodes.whole()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_ENGINE", f"ray://{nodes.address}")
        engines._engine.cache_clear()
        deploy(Size(fewest=2, most=2, images=4))
        yield
        serve.shutdown()


def settings(seed: int, **more) -> dict:
    return {"model": "tiny-var", "class_": seed % CLASSES, "seed": seed, **more}


def long(seed: int) -> dict:
    """A run that nobody waits for to the end."""
    return {"model": "var-small", "class_": 0, "seed": seed, "count": 64}


def test_the_events_are_those_of_this_process(deployed):
    """And the observer of the page is told what it asks for."""

    class Kept(list):
        watches = ("kept",)

        def __call__(self, what, scale, tensor):
            self.append((what, scale, tensor.tolist()))

    window = {"name": "sliding-window", "budget": 0.3}
    for more in ({}, {"count": 3}, {"cache": window}):
        there, here = Kept(), Kept()
        watching = "cache" in more
        asked = settings(5, **more)
        ours = list(api.stream(**asked, observe=there if watching else None))
        theirs = list(api.stream(**asked, observe=here if watching else None, device="cpu"))
        assert [type(event) for event in ours] == [type(event) for event in theirs]
        assert there == [one for one in here if one[0] == "kept"]
        assert bool(there) == watching
        for one, other in zip(ours, theirs, strict=True):
            match one:
                case Started():
                    assert (one.spec, one.id, one.schedule) == (
                        other.spec,
                        other.id,
                        other.schedule,
                    )
                case ScaleDone():
                    assert one.ids.tolist() == other.ids.tolist()
                    assert np.array_equal(one.preview, other.preview)
                    assert (one.kv_bytes, one.entropy) == (other.kv_bytes, other.entropy)
                case ImageReady():
                    assert np.array_equal(one.image, other.image)
                case Finished():
                    assert one.record.image_sha256 == other.record.image_sha256
                    assert one.record.token_sha256 == other.record.token_sha256


def test_everybody_gets_the_own_picture(deployed):
    asked = [settings(seed) for seed in range(24)]
    with ThreadPoolExecutor(12) as pool:
        drawn = list(pool.map(_drawn, asked))
    for one, (scales, image) in zip(asked, drawn, strict=True):
        assert scales == sorted(scales)
        (here,) = api.generate(**one, device="cpu")
        assert np.array_equal(image, np.asarray(here))


def _drawn(asked: dict) -> tuple[list[int], np.ndarray]:
    scales: list[int] = []
    for event in api.stream(**asked):
        match event:
            case ScaleDone():
                scales.append(event.scale)
            case Finished():
                return scales, event.images[0]
    raise AssertionError("no end")


def test_refusals_are_one_line(deployed, monkeypatch):
    from var_spaces.remote import order

    with pytest.raises(VarSpacesError, match="Observers"):
        api.stream(**settings(1), observe=lambda *_: None)
    monkeypatch.setattr("var_spaces.remote.client.var_spaces.__version__", "0.0.0")
    with pytest.raises(VarSpacesError, match="another version") as caught:
        list(api.stream(**settings(1)))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    monkeypatch.setattr("var_spaces.remote.client.APP", "another")
    with pytest.raises(VarSpacesError, match="No engine is deployed"):
        api.stream(**settings(1))
    assert order.APP == "var-spaces"


def test_who_stops_is_gone(deployed):
    """A long run that is closed leaves its replica with nothing to do, long before its end."""
    import ray

    events = api.stream(**long(1))
    assert isinstance(next(events), Started)
    drawing = replicas()
    assert sum(ray.get([one.get_num_ongoing_requests.remote() for one in drawing])) == 1
    events.close()
    ending = time.monotonic() + 60
    while any(ray.get([one.get_num_ongoing_requests.remote() for one in drawing])):
        assert time.monotonic() < ending
    assert _drawn(settings(3))[0]


def test_a_replica_that_dies_costs_one_line(deployed):
    """Its runs end with one line; the next run works, on the other one."""
    import ray

    events = api.stream(**long(2))
    assert isinstance(next(events), Started)
    (drawing,) = (one for one in replicas() if ray.get(one.get_num_ongoing_requests.remote()))
    ray.kill(drawing)
    with pytest.raises(VarSpacesError, match="please start it again") as caught:
        list(events)
    assert "\n" not in str(caught.value)
    scales, image = _drawn(settings(3))
    (here,) = api.generate(**settings(3), device="cpu")
    assert scales and np.array_equal(image, np.asarray(here))


def replicas() -> list:
    """Actors that draw."""
    import ray

    found = [one["name"] for one in ray.util.list_named_actors(all_namespaces=True)]
    names = [name for name in found if name.startswith("SERVE_REPLICA")]
    return [ray.get_actor(name, namespace="serve") for name in names]


def test_what_the_command_refuses(nodes):
    from var_spaces.serve.__main__ import _parser, _size

    for arguments, said in (
        (["--replicas", "x"], "give a number from 1 up"),
        (["--replicas", "3-2"], "give a number from 1 up"),
        (["--replicas", "99"], "the cluster has 4"),
        (["--images", "0"], "give a number above 0"),
    ):
        with pytest.raises(VarSpacesError, match=said):
            _size(_parser().read(arguments), {"CPU": 4.0})
    size = _size(_parser().read(["--replicas", "1-4"]), {"CPU": 4.0})
    assert (size.fewest, size.most, size.gpus) == (1, 4, 0)
