"""Shared by all tests: golden fixtures of the reference implementations.

A test asks for them by prefix, and runs once per file, with the file's stem in its id::

    @pytest.mark.golden("var_quant")
    def test_encode(golden):
        golden.spec["config"], golden.tensors["in/image"], golden.sibling("var_vae.safetensors")
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest


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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden(prefix): run once per golden fixture <prefix>*.json")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("golden")
    if marker and "golden" in metafunc.fixturenames:
        folder = Path(metafunc.config.getoption("--golden-dir"))
        stems = sorted(path.stem for path in folder.glob(f"{marker.args[0]}*.json"))
        fixtures = [Golden(folder, stem) for stem in stems]
        metafunc.parametrize("golden", fixtures, ids=stems, scope="module")
