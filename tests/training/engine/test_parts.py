"""The trainer trains a part of a network, in several turns, with settings that change."""

from __future__ import annotations

import json
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
from var_spaces.training.engine.trainer import Trainer, in_bfloat16, main_loss

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


class Noting(Toy):
    """Notes the images of every step and a number of torch's own generator."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[int, int, float]] = []

    def turns(self, step):
        return (Turn(self.loss),)

    def loss(self, model, step, start, count):
        self.steps.append((start, count, torch.rand(()).item()))
        loss, logs = super().loss(model, step, start, count)
        return 1000 * loss, logs


def noted(folder: Path, steps: int, **train) -> tuple[Noting, Trainer]:
    recipe = Noting()
    config = TrainConfig(batch_size=4, warmup=0.0, **train)
    trainer = Trainer(recipe, config, Budget(steps=steps), folder, CPU, quiet=True)
    trainer.run()
    return recipe, trainer


def test_every_step_has_other_images_and_other_noise(tmp_path):
    recipe, _ = noted(tmp_path / "a", 3, log_every=2)
    assert [(start, count) for start, count, _ in recipe.steps] == [(0, 4), (4, 4), (8, 4)]
    assert len({noise for *_, noise in recipe.steps}) == 3
    assert noted(tmp_path / "b", 3)[0].steps == recipe.steps
    assert noted(tmp_path / "c", 3, seed=1)[0].steps != recipe.steps
    rows = map(json.loads, (tmp_path / "a" / "metrics.jsonl").read_text().splitlines())
    assert [row["step"] for row in rows if "loss" in row] == [2]


def test_the_rate_falls_as_the_recipe_says(tmp_path):
    noted(tmp_path, 4, log_every=1, lr=0.5, constant=0.5, final_lr=0.25)
    rows = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    rates = [row["lr"] for row in rows if "lr" in row]
    assert rates == pytest.approx([0.5, 0.5, 0.5, 0.5 * (1 + 0.25) / 2])


def test_gradients_are_clipped(tmp_path):
    recipe, _ = noted(tmp_path, 1, clip=0.25)
    gradients = [p.grad for p in recipe.model.parameters() if p.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert norm.item() == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize(("ema", "share"), [(0.999, 0.9), (0.05, 0.95)])
def test_a_young_average_follows_the_weights(tmp_path, ema, share):
    """Its decay grows from 1/10 to that of the recipe."""
    recipe, trainer = noted(tmp_path, 1, ema=ema)
    old, new = (model.model["content"].weight for model in (Noting(), recipe))
    torch.testing.assert_close(trainer.ema["content"].weight, old + share * (new - old))


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


def test_the_loss_of_a_step_of_several_turns_is_their_sum():
    assert main_loss({"loss": 3.0, "loss_style": 2.0}) == 3
    assert main_loss({"loss_content": 1.0, "loss_style": 2.0, "lr": 9.0}) == 3


@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_bfloat16_only_where_the_processor_has_it(precision, slow, monkeypatch):
    monkeypatch.setattr(cpu, "is_slow", lambda dtype: slow)
    assert in_bfloat16(precision, torch.device("cuda")) == (precision != "fp32")
    assert in_bfloat16(precision, CPU) == (precision == "bf16" and not slow)
