"""Imports point down only, and listing things stays cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Bottom to top. A module imports from its own package and from lower rows, nothing else; a new
# package must be placed here. The same picture is in docs/architecture.md.
LAYERS = [
    {"errors", "ranges"},
    {"console", "cpu", "schedule", "validation", "discovery", "codecs", "notes", "paths"},
    {"aspect", "depth", "methods", "pictures", "steps"},
    {"spec"},
    {"checkout"},
    {"record"},
    {"events"},
    {"cache", "tokenizers", "int8_rows"},
    {"evaluators"},
    {"backbones", "decoding"},
    {"conditioning"},
    {"adapters"},
    {"zoo"},
    {"tasks", "training"},
    {"remote"},
    {"api", "rewards"},
    {"cli"},
    {"serve"},
    {"leaderboard"},
    {"compare"},
    {"ui"},
    {"app"},
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
PACKAGE_OF = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
    "huggingface_hub": "huggingface-hub",
}
# which brings them along
PACKAGE_OF |= dict.fromkeys(("fastapi", "gradio_client", "starlette"), "gradio")
OPTIONAL = {
    "ImageReward",
    "bitsandbytes",
    "diffusers",
    "open_clip",
    "pyarrow",
    "ray",
    "resvg_py",
    "spaces",
    "timm",
    "torchmetrics",
    "torchvision",
    "triton",
}  # imported where they are found, with a clear way without them
LIGHT = ["var_spaces.spec", "var_spaces.record", "var_spaces.events", "var_spaces.zoo.cards"]


def sources() -> list[Path]:
    found = [*ROOT.glob("var_spaces/**/*.py"), *ROOT.glob("leaderboard/**/*.py"), ROOT / "app.py"]
    return sorted(path for path in found if path.is_file() and path.parent != ROOT / "var_spaces")


def top_modules() -> list[Path]:
    return sorted(p for p in ROOT.glob("var_spaces/*.py") if not p.stem.startswith("__"))


def part(module: str) -> str:
    """``var_spaces.cache.kv`` -> ``cache``; other packages of this project by their own name."""
    names = module.split(".")
    return names[1] if names[0] == "var_spaces" and len(names) > 1 else names[0]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of all modules of this project that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [node.module]
            if node.module == "var_spaces":
                names = [f"var_spaces.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] in ("var_spaces", "leaderboard", "app") and name != "var_spaces":
                yield node.lineno, name


@pytest.mark.parametrize(
    "path", [*top_modules(), *sources()], ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_point_down(path):
    own = part(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert own in HEIGHT, f"{own}: give it a place in LAYERS"
    for line, module in imports(path):
        other = part(module)
        assert other in HEIGHT, f"{path}:{line} imports {module}, which has no place in LAYERS"
        assert other == own or HEIGHT[other] < HEIGHT[own], f"{path}:{line}: {own} imports {module}"


def test_no_circles():
    """Two files that need each other are one file, or a third one is missing: for types, too."""
    modules = {name_of(path): path for path in [*top_modules(), *sources()]}
    needs = {
        name: {other for other in needed(path, modules) if other != name}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def name_of(path: Path) -> str:
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def needed(path: Path, modules: Collection[str]) -> Iterator[str]:
    """Files of this project that one imports anywhere, for types as well.

    ``var_spaces`` itself, which everything loads and which loads nothing, is left out.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from {name if name in modules else node.module for name in names} & set(modules)
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & set(modules)


def test_only_the_page_imports_gradio():
    for path in [*top_modules(), *sources()]:
        own = part(".".join(path.relative_to(ROOT).with_suffix("").parts))
        text = path.read_text(encoding="utf-8")
        assert own in ("ui", "app") or "import gradio" not in text, path


def test_coroutines_of_tests_run_apart_from_browsers():
    """``asyncio.run`` fails in a process where a browser's test ran before."""
    here = {Path(__file__), ROOT / "tests" / "coroutines.py"}
    found = [p for p in ROOT.glob("tests/**/*.py") if "asyncio.run" in p.read_text("utf-8")]
    assert set(found) <= here, "call tests.coroutines.finished instead"


def test_requirements_are_what_is_imported():
    imported = set()
    for path in [*top_modules(), *sources()]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    imported -= sys.stdlib_module_names | {"var_spaces", "leaderboard", "app"} | OPTIONAL
    text = (ROOT / "requirements.txt").read_text()
    required = set(re.findall(r"^[\w-]+", text, re.MULTILINE))
    assert {PACKAGE_OF.get(name, name) for name in imported} == required


def loaded_after(code: str) -> set[str]:
    """Top-level modules in memory after running ``code`` in a fresh process."""
    ending = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + ending], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_itself_is_free():
    loaded = loaded_after("import var_spaces; dir(var_spaces); var_spaces.ScaleSchedule")
    assert not loaded & {"torch", "numpy", "PIL", "gradio", "pydantic"}


def test_listing_and_specs_import_no_torch():
    loaded = loaded_after(
        f"import {', '.join(LIGHT)}\n"
        "from var_spaces import RunSpec, methods\n"
        "from var_spaces.cli import main\n"
        "for kind in methods.kinds():\n"
        "    for entry in methods.entries(kind):\n"
        "        methods.describe(kind, entry.name)\n"
        "spec = RunSpec(model='m', inputs={'class': 'x'})\n"
        "assert RunSpec.from_link(spec.to_link()) == spec\n"
        "for command in (['models'], ['models', '--json'], ['methods'], ['methods', 'cache']):\n"
        "    assert main(command) == 0\n"
    )
    assert "pydantic" in loaded
    assert not loaded & {"torch", "gradio", "transformers", "pandas", "safetensors"}


def test_training_needs_no_more_than_a_training_machine_has():
    """No pydantic and no gradio there: everything training imports must do without."""
    loaded = loaded_after(
        "import importlib, pkgutil, sys\n"
        "for absent in ('pydantic', 'gradio', 'pandas', 'huggingface_hub'):\n"
        "    sys.modules[absent] = None\n"
        "import var_spaces.training as package\n"
        "for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
    )
    assert "torch" in loaded
