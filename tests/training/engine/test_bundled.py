"""Every bundled recipe runs from end to end at its smallest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from var_spaces.training.__main__ import main
from var_spaces.training.engine.config import bundled, read_config
from var_spaces.training.engine.curriculum import Curriculum
from var_spaces.training.engine.plan import Options
from var_spaces.training.engine.runs import make_plan

ROOT = Path(__file__).parents[3]
SHIPPED = {path.name for path in (ROOT / "assets").glob("*/*") if (path / "card.json").is_file()}
GPU = "-gpu"


def stands_on(name: str) -> set[str]:
    """Ids of the models that a recipe names."""
    settings = read_config(name).get("recipe", {})
    named = {
        settings.get(key, "") for key in ("tokenizer", "base", "start", "teacher", "perceptual")
    }
    return (named | set(settings.get("tokenizers", ()))) - {""}


def another_cycle(name: str) -> bool:
    """Whether a recipe goes on with the model that it makes."""
    data = read_config(name)
    return data.get("recipe", {}).get("start") == data["id"]


def order(names: list[str], done: set[str]) -> list[str]:
    """Recipes, each after those that make what it stands on."""
    found: list[str] = []
    while names:
        ready = [name for name in names if stands_on(name) <= done]
        assert ready, f"nobody makes what these stand on: {names}"
        found += ready
        done = done | {read_config(name)["id"] for name in ready}
        names = [name for name in names if name not in ready]
    return found


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[bool, Path]:
    """Folders for recipes of a GPU, which stand on each other, and for the others, which stand on
    what is shipped."""
    empty, filled = (tmp_path_factory.mktemp(name) for name in ("gpu", "cpu"))
    for kind in ("models", "evaluators"):
        (filled / kind).mkdir()
        for path in (ROOT / "assets" / kind).iterdir():
            if path.is_dir():
                (filled / kind / path.name).symlink_to(path)
    return {True: empty, False: filled}


@pytest.mark.parametrize(
    "name",
    [
        *order([name for name in bundled() if name.endswith(GPU)], set()),
        *order(
            [name for name in bundled() if not (name.endswith(GPU) or another_cycle(name))], SHIPPED
        ),
    ],
)
def test_a_recipe_runs_at_its_smallest(places, name, capsys):
    data, place = read_config(name), places[name.endswith(GPU)]
    own = data["id"] if not (place / "models" / data["id"]).exists() else f"{name}-tiny"
    own = f"{name}-tiny" if (place / "evaluators" / own).exists() else own
    command = [data["kind"], "--config", name, "--steps", "2", "--tiny", "--device", "cpu"]
    command += ["--quiet", "--name", own, "--runs", str(place / "runs")]
    command += ["--models", str(place / "models"), "--evaluators", str(place / "evaluators")]
    assert main(command) == 0, capsys.readouterr().err
    folder = next(place.glob(f"*/{own}/card.json")).parent
    card = json.loads((folder / "card.json").read_text("utf-8"))
    assert card["training"]["steps"] >= 2
    assert card["training"]["digest"]
    assert list(folder.glob("*.safetensors"))
    shutil.rmtree(place / "runs")


def test_another_cycle_differs_in_numbers_alone():
    """So it need not run as well: what it says is read, and its first cycle runs above."""
    names = [name for name in bundled() if another_cycle(name)]
    assert names
    for name in names:
        plan = make_plan(name, Options())
        Curriculum(plan.settings, plan.data.get("stages", []), plan.recipe.changing)
        first = {other for other in bundled() if read_config(other)["id"] == plan.data["id"]}
        assert first - {*names, f"{plan.data['id']}-gpu"}, f"nothing runs that makes {name}'s start"
