"""The trainer trains a part of a network, in several turns, with settings that change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from var_spaces import cpu
from var_spaces.errors import VarSpacesError
from var_spaces.training.engine.budget import Budget
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.curriculum import Curriculum
from var_spaces.training.engine.recipe import Recipe, Turn
from var_spaces.training.engine.trainer import Trainer, in_bfloat16

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Settings:
    scenes: str = "wide"
    sizes: tuple[int, ...] = (1, 2)


class Toy(Recipe):
    """A frozen base with running statistics, and two parts that take turns."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        base = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)).requires_grad_(False)
        parts = {"base": base, "content": nn.Linear(8, 4), "style": nn.Linear(8, 4)}
        self.model, self.config = nn.ModuleDict(parts), Settings()
        self.seen: list[str] = []

    def parameter_groups(self, train):
        adamw = {"rule": "adamw", "weight_decay": 0.0}
        return [
            {
                "params": list(self.model[name].parameters()),
                "name": name,
                "lr_scale": scale,
                **adamw,
            }
            for name, scale in (("content", 1.0), ("style", 0.5))
        ]

    def turns(self, step):
        return [Turn(self.loss, name, frozenset({name})) for name in ("content", "style")]

    def loss(self, model, step, start, count):
        x = torch.randn(count, 8, generator=torch.Generator().manual_seed(start))
        features = model["base"](x)
        both = model["content"](features) + model["style"](features)
        self.seen.append(self.config.scenes)
        return both.square().mean(), {}

    def evaluate(self, model):
        return {"norm": model["content"].weight.norm().item()}

    def sample_grid(self, model):
        raise ModuleNotFoundError(name="gradio")


def run(folder: Path, steps: int, curriculum: Curriculum | None = None) -> tuple[Toy, Trainer]:
    recipe = Toy()
    train = TrainConfig(batch_size=4, log_every=1)
    budget = Budget(steps=steps)
    trainer = Trainer(recipe, train, budget, folder, CPU, quiet=True, curriculum=curriculum)
    trainer.run()
    return recipe, trainer


def test_what_is_frozen_stays_bit_for_bit_and_out_of_the_checkpoint(tmp_path):
    fresh = Toy().model.state_dict()
    recipe, trainer = run(tmp_path, 3)
    for name, value in recipe.model.state_dict().items():
        assert torch.equal(value, fresh[name]) == name.startswith("base"), name
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    parts = {"content.weight", "content.bias", "style.weight", "style.bias"}
    for kept in ("model", "ema"):
        assert {name for name in state[kept] if not name.startswith("base.1.")} == parts
        assert not any("base.0" in name or name == "base.1.weight" for name in state[kept])
    # The average shares what is frozen and has its own of the rest.
    assert trainer.ema["base"][0].weight is recipe.model["base"][0].weight
    assert trainer.ema["style"].weight is not recipe.model["style"].weight


def test_a_part_is_resumed_bit_for_bit(tmp_path):
    whole, _ = run(tmp_path / "whole", 4)
    step = Trainer._step

    def two(self):
        logs = step(self)
        self.asked = self.at.step == 2
        return logs

    Trainer._step = two
    try:
        run(tmp_path / "parts", 4)
    finally:
        Trainer._step = step
    parts, _ = run(tmp_path / "parts", 4)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(parts.model.state_dict()[name], value), name


def test_every_turn_updates_its_own_groups_only(tmp_path):
    recipe = Toy()
    trainer = Trainer(recipe, TrainConfig(batch_size=4), Budget(steps=9), tmp_path, CPU, quiet=True)
    before = {name: value.clone() for name, value in recipe.model.state_dict().items()}
    trainer._turn(recipe.turns(0)[1], 0, 4)
    after = recipe.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"style.weight", "style.bias"}
    logs = trainer._step()
    assert {"loss_content", "loss_style", "grad_norm_content", "lr"} <= set(logs)
    content, style = trainer.optimizer.param_groups
    assert style["lr"] == pytest.approx(0.5 * content["lr"])


def test_settings_widen_with_the_progress_and_resume_in_their_stage(tmp_path):
    stages = [{"until": 0.25, "scenes": "single"}, {"until": 0.75, "scenes": "pairs"}]
    curriculum = Curriculum(Settings(), stages, ("scenes",))
    recipe, _ = run(tmp_path, 4, curriculum)
    assert recipe.seen[::2] == ["single", "pairs", "pairs", "wide"]
    assert curriculum.at(0.5) == (1, Settings(scenes="pairs"))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"until": 0.5, "scene": "x"}], "Did you mean 'scenes'"),
        ([{"until": 0.5}, {"until": 0.4}], "must rise"),
        ([{"scenes": "x"}], "until is None"),
        ([{"until": 1.0}], "below 1"),
        ([{"until": 0.5, "scenes": 3}], r"scenes = '3' must be text"),
        (3, "must be tables"),
    ],
)
def test_wrong_stages_are_refused(stages, message):
    with pytest.raises(VarSpacesError, match=message):
        Curriculum(Settings(), stages, ("scenes",))


@pytest.mark.parametrize(
    ("changing", "message"), [((), "none may change"), (("scenes",), "only scenes may change")]
)
def test_a_stage_changes_nothing_that_a_recipe_reads_once(changing, message):
    stages = [{"until": 0.5, "sizes": (3,)}]
    with pytest.raises(VarSpacesError, match=message):
        Curriculum(Settings(), stages, changing)
    assert Curriculum(Settings(), stages, ("sizes",)).at(0)[1].sizes == (3,)


@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_bfloat16_only_where_the_processor_has_it(precision, slow, monkeypatch):
    monkeypatch.setattr(cpu, "is_slow", lambda dtype: slow)
    assert in_bfloat16(precision, torch.device("cuda")) == (precision != "fp32")
    assert in_bfloat16(precision, CPU) == (precision == "bf16" and not slow)
