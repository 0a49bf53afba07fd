"""Numbers of a recipe that cannot be are refused before anything is read or made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from tests.training.engine.test_parts import CPU, Toy
from var_spaces.errors import VarSpacesError
from var_spaces.ranges import Bounds
from var_spaces.training.__main__ import main
from var_spaces.training.engine import recipe as recipes
from var_spaces.training.engine.amounts import Batches, Count, Share
from var_spaces.training.engine.budget import Budget
from var_spaces.training.engine.config import RecipeFile, TrainConfig, check_types
from var_spaces.training.engine.trainer import Trainer
from var_spaces.training.recipes.clip import ClipRecipe, ClipTraining

# What the adapter, the schedules or the sub-networks of a recipe check, which know more.
ELSEWHERE = {"rank", "share", "middle", "late", "ratio"}


def unbounded(kind: Any) -> bool:
    """Whether any number is of a type."""
    if get_origin(kind) is Annotated:
        return False
    return kind in (int, float) or any(map(unbounded, get_args(kind)))


@pytest.mark.parametrize("section", [TrainConfig, RecipeFile, *recipes.recipes()])
def test_every_number_of_a_recipe_has_a_range(section):
    if isinstance(section, str):
        section = recipes.get(section).settings
    types = get_type_hints(section, include_extras=True)
    assert {name for name, kind in types.items() if unbounded(kind)} <= ELSEWHERE


@pytest.mark.parametrize("section", recipes.recipes())
def test_usual_settings_are_in_their_range(section):
    settings = recipes.get(section).settings
    check_types(settings, vars(settings()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("[train]\nlog_every = 0", "[train] log_every = 0 is out of range: allowed is at least 1."),
        ("[train]\nbatch_size = -4", "[train] batch_size = -4 is out of range"),
        ("[train]\neval_minutes = -1", "eval_minutes = -1 is out of range: allowed is at least 0."),
        ("[train]\nlr = 0", "[train] lr = 0 is out of range: allowed is above 0."),
        ("[train]\nwarmup = 1.5", "[train] warmup = 1.5 is out of range: allowed is 0 to 1."),
        ("[train]\nema = 1", "[train] ema = 1 is out of range: allowed is at least 0 and below 1."),
        ("[recipe]\neval_images = 0", "[recipe] eval_images = 0 is out of range"),
        ("[recipe]\nusage_images = 100", "usage_images = 100 is out of range: allowed is a multi"),
        ("[recipe]\nadversarial_ch = 12", "allowed is a multiple of 8."),
        ("minutes = 'ten'", "minutes = 'ten' must be a number."),
    ],
)
def test_refused_in_one_line_before_any_work(tmp_path, capsys, monkeypatch, change, said):
    monkeypatch.setattr(recipes.get("tokenizer"), "build", None)
    path = tmp_path / "bad.toml"
    path.write_text(f'kind = "tokenizer"\nid = "bad"\n{change}\n')
    arguments = ["tokenizer", "--config", str(path), "--device", "cpu"]
    assert main([*arguments, "--runs", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@dataclass
class Parts:
    depths: tuple[Count, ...] = ()
    size: tuple[Share, Share] = (0.5, 1)
    images: Batches = 64
    most: Annotated[int, Bounds(high=3)] = 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"depths": [2, 0]}, "depths = 0 is out of range: allowed is at least 1"),
        ({"size": [0.5, 1.5]}, "size = 1.5 is out of range: allowed is 0 to 1"),
        ({"size": [0.5]}, "must be a list of 2 values, each a number"),
        ({"images": 0}, "images = 0 is out of range: allowed is at least 64"),
        ({"most": 4}, "most = 4 is out of range: allowed is at most 3"),
        ({"most": True}, "most = 'True' must be a whole number"),
        ({"size": [True, 1]}, "must be a list of 2 values, each a number"),
    ],
)
def test_every_value_of_a_list_is_looked_at(values, said):
    with pytest.raises(VarSpacesError, match=said):
        check_types(Parts, values)


def test_a_share_of_a_batch_is_looked_at_before_the_first_step(tmp_path, monkeypatch):
    """Of two processes each takes half of it, which may be too little for a recipe."""

    class Pairs(Toy):
        def check_batch(self, size):
            raise VarSpacesError(f"not {size}")

    monkeypatch.setattr(Trainer, "_distribute", lambda self: setattr(self, "world", 2))
    train = TrainConfig(batch_size=6)
    with pytest.raises(VarSpacesError, match="not 3"):
        Trainer(Pairs(), train, Budget(steps=1), tmp_path, CPU, quiet=True)


def test_scenes_of_clip_come_in_whole_groups():
    clip = ClipRecipe.__new__(ClipRecipe)
    clip.config = ClipTraining(group=8, eval_images=64)
    clip.check_batch(16)
    with pytest.raises(VarSpacesError, match=r"processes = 4 must be a multiple of .* which is 8"):
        clip.check_batch(4)
    with pytest.raises(VarSpacesError, match="eval_images = 4 must be a multiple"):
        ClipTraining(group=8, eval_images=4)
