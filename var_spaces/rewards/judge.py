"""The embedded judge of class and style as a reward, and its trunk as features.

``training/judge.py`` says how it was trained; it knows the classes of the embedded models only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from var_spaces.decoding.search.scoring import Asked, Describe, Features, Reward, Score
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch


@lru_cache(maxsize=4)
def judge(device: torch.device) -> tuple[Any, dict[str, Any]]:
    """The judge and its card."""
    from var_spaces.evaluators.folder import EVALUATORS
    from var_spaces.evaluators.judge import load_judge

    model, card = load_judge(EVALUATORS / "judge")
    return model.to(device), card


@register
class JudgeReward(Reward):
    """Probability that the image shows the class, times that of the style if one was asked for."""

    name = "judge"
    title = "Judge: class and style"

    @property
    def needs(self) -> dict[str, str]:
        return {"class-labels": "the judge names classes"}

    def check(self, asked: Asked) -> None:
        from var_spaces.evaluators.folder import EVALUATORS, read_card

        _numbers(asked, read_card(EVALUATORS / "judge"))

    def load(self, asked: Sequence[Asked], device: torch.device) -> Score:
        import torch

        from var_spaces.evaluators.pixels import as_batch

        model, card = judge(device)
        labels, styles = zip(*(_numbers(one, card) for one in asked), strict=True)

        @torch.no_grad()
        def score(images: Any, which: Sequence[int]) -> torch.Tensor:
            concept, style = model(as_batch(images, card["resolution"]).to(device))
            rows = torch.arange(len(which), device=device)
            right = concept.softmax(-1)[rows, [labels[i] for i in which]]
            in_style = style.softmax(-1)[rows, [styles[i] or 0 for i in which]]
            asked_for = torch.tensor([styles[i] is not None for i in which], device=device)
            return right * torch.where(asked_for, in_style, 1.0)

        return score


def _numbers(asked: Asked, card: Mapping[str, Any]) -> tuple[int, int | None]:
    """Class and style as the judge counts them."""
    style = asked.style and _number("style", asked.style, card["styles"])
    return _number("class", asked.label, card["classes"]), style


def _number(what: str, name: str | None, names: Sequence[str]) -> int:
    if name not in names:
        raise VarSpacesError(
            f"Reward 'judge' cannot tell the {what} {name!r}: it knows those of the embedded "
            "models. Ask for one of them, or choose another reward."
        )
    return list(names).index(name)


@register
class JudgeFeatures(Features):
    """The last map of the judge's trunk."""

    name = "judge"
    title = "Judge: its last feature map"

    def load(self, device: torch.device) -> Describe:
        import torch

        from var_spaces.evaluators.pixels import as_batch

        model, card = judge(device)

        @torch.no_grad()
        def describe(images: Any) -> torch.Tensor:
            maps = model.trunk(as_batch(images, card["resolution"]).to(device))
            return maps.flatten(2).transpose(1, 2)

        return describe
