"""CoDe: a large model drafts small scales, a small one refines large ones (arXiv 2411.17787).

The run's own model is the drafter. At the hand-over its cache is freed, and the refiner reads all
scales so far in one pass, through its own embeddings; only codes pass between the two. Latents go
on accumulating, so whatever acts on tokens or latents (in-painting, say) sees one run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field

from var_spaces import methods
from var_spaces.decoding.base import Drawn
from var_spaces.decoding.strategy import DecodingSession, DecodingStrategy, Draw, ScaleWork
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.decoding.base import Guidance
    from var_spaces.decoding.setup import RunSetup
    from var_spaces.schedule import ScaleSchedule

# what a pair must have in common
SAME = ("tokenizer", "text_encoder", "classes", "styles", "schedule")


def own(low: float, high: float, what: str, kind: type = float) -> Any:
    """A field of at most one number; none is what the run says."""
    number = Annotated[kind, Field(ge=low, le=high)]
    text = f"{what} of the refiner, {low} to {high}; empty is that of the run"
    return Annotated[tuple[number, ...], Field(max_length=1, description=text)]


@register
class Collaborative(DecodingStrategy):
    """The first scales by the model of the run, the others by the refiner."""

    name = "collaborative"
    title = "CoDe: a large drafter, a small refiner"
    paper = "https://arxiv.org/abs/2411.17787"

    refiner: str = Field(
        "",
        max_length=64,
        description="model that draws large scales; empty is the smallest that fits",
    )
    drafted: int = Field(
        -2, ge=-63, le=64, description="first scales that the drafter draws; -2 is all but two"
    )
    refiner_guidance: own(0, 20, "guidance weight") = ()
    refiner_temperature: own(0.01, 10, "temperature") = ()
    refiner_top_k: own(0, 65536, "top-k", int) = ()
    refiner_top_p: own(0, 1, "top-p") = ()

    @property
    def models(self) -> tuple[str, ...]:
        return (self.refiner,)

    @property
    def offers(self) -> frozenset[str]:
        """What other parts may exclude."""
        return frozenset({"second-model"})

    @property
    def needs(self) -> dict[str, str]:
        return {"kv-cache": "drafter and refiner read the keys and values of earlier scales"}

    @property
    def excludes(self) -> dict[str, str]:
        return {"no-history": "the refiner reads what the drafter drew through its cache"}

    def resolve(
        self, card: Any, schedule: ScaleSchedule, offered: Callable[[], Mapping[str, Any]]
    ) -> Self:
        refiner = self.refiner or _smallest(card, offered().values())
        self.check_schedule(schedule)
        drafted = self.drafted if self.drafted > 0 else schedule.num_scales + self.drafted
        return self.model_copy(update={"refiner": refiner, "drafted": drafted})

    def check(self, cards: Mapping[str, Any]) -> None:
        drafter, refiner = cards[""], cards[self.refiner]
        for what in SAME:
            if getattr(drafter, what) != getattr(refiner, what):
                raise VarSpacesError(
                    f"Models '{drafter.id}' and '{refiner.id}' cannot work together: they differ "
                    f"in their {what}. Choose another refiner."
                )
        if "prefill" not in refiner.offers:
            raise VarSpacesError(
                f"Model '{refiner.id}' cannot read several scales in one pass: choose another "
                "refiner."
            )

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        scales = schedule.num_scales
        if not -scales < self.drafted <= scales:
            raise VarSpacesError(
                f"drafted = {self.drafted}: there are {scales} scales to draw, so allowed is 1 to "
                f"{scales}, or {1 - scales} to 0 for all but so many."
            )

    def work(self, schedule: ScaleSchedule, depth: int) -> tuple[ScaleWork, ...]:
        refined = schedule.num_scales - self.drafted
        return (ScaleWork(),) * self.drafted + (ScaleWork(self.refiner),) * refined

    def guiding(self, guidance: Guidance, model: str) -> Guidance:
        return _changed(guidance, {"scale": self.refiner_guidance}) if model else guidance

    def session(self, setup: RunSetup, images: Sequence[int]) -> CollaborativeSession:
        return CollaborativeSession(setup, self._refining(setup), images, self.drafted)

    def _refining(self, setup: RunSetup) -> RunSetup:
        """The run as the refiner sees it: its weights, its sampling, its guidance."""
        sampling = {"temperature": self.refiner_temperature, "top_k": self.refiner_top_k}
        sampling["top_p"] = self.refiner_top_p
        return replace(
            setup,
            backbone=setup.extra[self.refiner],
            sampling=_changed(setup.sampling, sampling),
            guidance=self.guiding(setup.guidance, self.refiner),
        )


def _smallest(drafter: Any, offered: Iterable[Any]) -> str:
    """Id of the smallest model that can go on with what a larger one has drawn."""
    able = [
        card
        for card in offered
        if not card.base
        and "prefill" in card.offers
        and _size(card) < _size(drafter)
        and all(getattr(card, what) == getattr(drafter, what) for what in SAME)
    ]
    if not able:
        raise VarSpacesError(
            f"No smaller model goes on with what '{drafter.id}' draws: its {', '.join(SAME[:-1])} "
            f"and {SAME[-1]} would have to be the same. Name a refiner, or choose another model."
        )
    return min(able, key=lambda card: (_size(card), card.id)).id


def _size(card: Any) -> int:
    """What its weights grow with."""
    return card.architecture.get("depth", 1) * card.architecture.get("width", 1) ** 2


def _changed(method: methods.Method, values: Mapping[str, tuple]) -> Any:
    """A method with some parameters replaced, by those of ``values`` that are given."""
    given = {name: value[0] for name, value in values.items() if value}
    return methods.parse(method.kind, {**methods.dump(method), **given}) if given else method


class CollaborativeSession(DecodingSession):
    def __init__(
        self, setup: RunSetup, refining: RunSetup, images: Sequence[int], drafted: int
    ) -> None:
        from var_spaces.decoding.loop.backbone_run import BackboneRun, full_kv_bytes

        self.setup, self.refining, self.drafted = setup, refining, drafted
        self.images = list(images)
        self.run: BackboneRun | None = BackboneRun(setup.backbone, setup, images, drafted)
        self.inputs: list[Tensor | None] = []
        self.full = full_kv_bytes  # of the drafter alone: what plain decoding would hold

    def predict(self, scale: int, tokens: Tensor | None, draw: Draw) -> Drawn:
        if scale < self.drafted:
            self.inputs.append(tokens)
            return draw(self.run.logits(self.run.advance(scale, tokens)))
        hidden = (
            self._hand_over(tokens) if scale == self.drafted else self.run.advance(scale, tokens)
        )
        return draw(self.run.logits(hidden), setup=self.refining)

    def _hand_over(self, tokens: Tensor) -> Tensor:
        """Free the drafter's cache, then let the refiner read everything up to this scale."""
        from var_spaces.decoding.loop.backbone_run import BackboneRun

        self.run = None
        self.run = BackboneRun(self.refining.backbone, self.refining, self.images)
        inputs, self.inputs = [*self.inputs, tokens], []
        return self.run.prefill(inputs)

    def gather_rows(self, index: Tensor) -> None:
        self.run.gather_rows(index)
        self.inputs = [tokens if tokens is None else tokens[index] for tokens in self.inputs]
        self.images = [self.images[row] for row in index.tolist()]

    @property
    def kv_bytes(self) -> int:
        return self.run.kv_bytes

    def kv_full_bytes(self, scale: int) -> int:
        rows = len(self.images) * len(self.setup.rows)
        return self.full(self.setup.backbone, self.setup.schedule, rows, scale)

    def close(self) -> None:
        self.run = None
        self.inputs = []
