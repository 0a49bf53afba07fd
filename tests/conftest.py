"""Shared by all tests: tiny real models, and golden fixtures of the reference implementations.

A test asks for fixtures by prefix, and runs once per file, with the file's stem in its id::

    @pytest.mark.golden("var_quant")
    def test_encode(golden):
        golden.spec["config"], golden.tensors["in/image"], golden.sibling("var_vae.safetensors")
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests that run side by side share the cores: before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# How busy the computer is says nothing about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Models that a developer has added are not those of the tests.
os.environ.setdefault("VAR_SPACES_MODELS", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The page comes last: while it is served, only its tiny models are known."""
    items.sort(key=lambda item: "tests/ui/" in item.nodeid)
    for item in items:
        if item.get_closest_marker("cuda") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if "browser" in item.fixturenames:  # on a busy computer it may drop an event
            item.add_marker(pytest.mark.flaky(reruns=1))


@cache
def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@dataclass(frozen=True)
class Golden:
    """One fixture: ``<stem>.json`` (procedure, sizes, tolerances) and ``<stem>.safetensors``."""

    folder: Path
    stem: str

    @cached_property
    def spec(self) -> dict:
        return json.loads((self.folder / f"{self.stem}.json").read_text(encoding="utf-8"))

    @cached_property
    def tensors(self) -> dict:
        return self.sibling(f"{self.stem}.safetensors")

    def sibling(self, file: str) -> dict:
        """All tensors of another file of the folder, by name."""
        from safetensors.torch import load_file

        return load_file(self.folder / file)

    def state(self, prefix: str = "state/", file: str | None = None) -> dict:
        """Tensors under a prefix, with the prefix removed: a state dict."""
        tensors = self.sibling(file) if file else self.tensors
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def pytest_addoption(parser: pytest.Parser) -> None:
    default = Path(__file__).parent / "golden"
    parser.addoption("--golden-dir", default=default, help=f"folder of fixtures ({default})")
    parser.addoption("--fuzz", type=int, help="examples per property test of a reader, other ones")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fuzz"):  # before the tests are imported
        os.environ["VAR_SPACES_FUZZ"] = str(config.getoption("--fuzz"))
    config.addinivalue_line("markers", "cuda: needs a CUDA device")
    config.addinivalue_line("markers", "golden(prefix): run once per golden fixture <prefix>*.json")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("golden")
    if marker and "golden" in metafunc.fixturenames:
        folder = Path(metafunc.config.getoption("--golden-dir"))
        stems = sorted(path.stem for path in folder.glob(f"{marker.args[0]}*.json"))
        fixtures = [Golden(folder, stem) for stem in stems]
        metafunc.parametrize("golden", fixtures, ids=stems, scope="module")


TINY_PATCHES = (1, 2, 4)
TINY_CLASSES = ("red apple", "key", "banana")
TINY_STYLES = ("soft", "drawn")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of two random models of 16 px images: ``tiny-tokenizer`` and ``tiny-var``."""
    import torch

    from var_spaces.backbones.config import VARConfig
    from var_spaces.backbones.var import VAR
    from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
    from var_spaces.zoo.writer import save_model

    folder = tmp_path_factory.mktemp("models")
    vq = {"ch": 8, "ch_mult": [1, 1, 2], "num_res_blocks": 1, "norm_groups": 4}
    vq |= {"z_channels": 4, "vocab_size": 32, "patch_nums": TINY_PATCHES}
    var = {"depth": 2, "width": 32, "heads": 2, "vocab_size": 32, "latent_dim": 4}
    var |= {"num_classes": 3, "num_styles": 2, "patch_nums": TINY_PATCHES}
    common = {"format": 1, "resolution": 16, "licence": "Apache-2.0"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer, backbone = ResidualVQ(ResidualVQConfig(**vq)), VAR(VARConfig(**var))
        for parameter in backbone.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    card = {"id": "tiny-tokenizer", "title": "Tiny tokenizer", "family": "residual-vq"}
    card |= {"role": "tokenizer", "architecture": vq}
    save_model(folder / card["id"], {**common, **card}, tokenizer.state_dict())
    card = {"id": "tiny-var", "title": "Tiny VAR", "family": "var", "role": "generator"}
    card |= {"architecture": var, "tokenizer": "tiny-tokenizer", "classes": TINY_CLASSES}
    card |= {"styles": TINY_STYLES, "defaults": {"sampling": {"name": "top-k-top-p", "top_k": 16}}}
    save_model(folder / card["id"], {**common, **card}, backbone.state_dict())
    return folder


@pytest.fixture
def use_tiny_models(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make ``tiny-var`` known to the zoo for one test."""
    before = os.environ.get("VAR_SPACES_MODELS", "")
    monkeypatch.setenv(
        "VAR_SPACES_MODELS", os.pathsep.join(filter(None, [str(tiny_models), before]))
    )
    return tiny_models


@pytest.fixture(scope="session", autouse=True)
def clean_checkout() -> Iterator[None]:
    """What a developer has not committed yet is no reason to distrust the results of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("var_spaces.record.current_commit", lambda: "c" * 40)
        yield


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """A test draws the same random numbers whatever ran before it."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def tiny_calibrations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of calibrations of the tiny models, known to calibrated cache policies."""
    from tests.calibrations import write

    folder = write(tmp_path_factory.mktemp("calibrations"))
    before = os.environ.get("VAR_SPACES_CALIBRATIONS")
    os.environ["VAR_SPACES_CALIBRATIONS"] = str(folder)
    yield folder
    os.environ.pop("VAR_SPACES_CALIBRATIONS")
    if before is not None:
        os.environ["VAR_SPACES_CALIBRATIONS"] = before
