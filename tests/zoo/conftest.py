"""A Hub on loopback that serves weights of the tiny model in the layouts of published files."""

from __future__ import annotations

import io

import pytest
import torch
from safetensors.torch import load_file, save

from tests import flex, hmar, infinity
from tests.zoo.stand_in import StandIn, serve

REPOSITORY = "someone/tiny"


def pickled(data) -> bytes:
    buffer = io.BytesIO()
    torch.save(data, buffer)
    return buffer.getvalue()


@pytest.fixture
def state(tiny_models):
    return load_file(tiny_models / "tiny-var" / "model.safetensors")


@pytest.fixture
def hub(state, tmp_path, monkeypatch):
    """The stand-in, with a fresh cache: one ``.pth``, two shards, a trainer's checkpoint."""
    names = sorted(state)
    halves = [{k: state[k] for k in part} for part in (names[::2], names[1::2])]
    files = {
        "var_tiny.pth": pickled(state),
        "sharded/model.safetensors.index.json": b'{"weight_map": {}}',
        "sharded/model-1.safetensors": save(halves[0]),
        "sharded/model-2.safetensors": save(halves[1]),
        "last.pth": pickled({"trainer": {"var_wo_ddp": state, "ema": state, "step": 3}}),
    }
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "VAR_SPACES_OFFER"):
        monkeypatch.delenv(name, raising=False)
    # The client waits ever longer before it asks again; here it asks again at once.
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with serve(StandIn({REPOSITORY: files})) as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        yield stand_in


@pytest.fixture(scope="session")
def _families(tiny_models, tmp_path_factory):
    folder = infinity.write_models(tmp_path_factory.mktemp("families"))
    flex.save_tiny(folder)
    hmar.save_tiny(folder, tiny_models)
    return folder


@pytest.fixture
def all_families(_families, tiny_models, monkeypatch):
    """Make ``tiny-var``, ``tiny-t2i``, ``tiny-flex`` and ``tiny-hmar`` known for one test."""
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{_families}:{tiny_models}")
