"""Models that ``benchmarks/decoding.py`` compares: a line-up for each number of scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from var_spaces.zoo.cards import known

Case = tuple[str, dict[str, Any]]  # model of the run, decoding


@dataclass(frozen=True)
class Lineup:
    """A large model and what is compared with it.

    Attributes:
        page: name of the page in ``docs/results``.
        title: of the page.
        base, small: the large model, and the one that refines what it drafts.
        supernet: the large one, trained for several depths; it may be the base itself.
        untrained: the large one before that.
        drafter, refiner: both, tuned for each other (CoDe).
        bridge: first scales that a supernet always runs at full depth.
        drafted: numbers of scales that are drafted, the most telling first.
        depths: of the supernet, likewise.
        equal_steps: supernets that were trained from the large one for equally many steps, by what
            they are called.
    """

    page: str
    title: str
    base: str
    small: str
    supernet: str
    untrained: str
    drafter: str
    refiner: str
    bridge: int
    drafted: Sequence[int]
    depths: Sequence[int]
    equal_steps: Mapping[str, str] = field(default_factory=dict)

    def cases(self) -> dict[str, Case]:
        """Cases by name; those whose models are missing here are left out."""
        found: dict[str, Case] = {
            "plain base": (self.base, {"name": "plain"}),
            "plain small": (self.small, {"name": "plain"}),
        }
        pairs = {
            "training-free": (self.base, self.small),
            "tuned": (self.drafter, self.refiner),
        }
        for drafted in self.drafted:
            for state, (drafter, refiner) in pairs.items():
                pair = {"name": "collaborative", "refiner": refiner, "drafted": drafted}
                found[f"CoDe N={drafted} {state}"] = drafter, pair
        states = {"untrained": self.untrained, "supernet": self.supernet}
        found |= self._supernets(states, self.depths)
        for state, model in states.items():
            if model != self.base:
                found[f"VARiant full depth {state}"] = model, {"name": "plain"}
        for state, model in self.equal_steps.items():
            found |= self._supernets({state: model}, self.depths)
            found[f"VARiant full depth {state}"] = model, {"name": "plain"}
        here = known("generator").keys()
        return {
            name: (model, decoding)
            for name, (model, decoding) in found.items()
            if {model, decoding.get("refiner", model)} <= here
        }

    def of_equal_steps(self, case: str) -> bool:
        return case.rpartition(" ")[2] in self.equal_steps

    def _supernets(self, models: Mapping[str, str], depths: Sequence[int]) -> dict[str, Case]:
        decoding = {"name": "supernet", "bridge": self.bridge}
        return {
            f"VARiant d={depth} {state}": (model, {**decoding, "depth": depth})
            for depth in depths
            for state, model in models.items()
        }


LINEUPS = {
    "six": Lineup(
        page="decoding",
        title="Decoding strategies",
        base="var-base",
        small="var-small",
        supernet="var-supernet",
        untrained="var-base",
        drafter="var-drafter",
        refiner="var-refiner",
        bridge=3,
        drafted=(4, 3, 5, 2, 1),
        depths=(2, 3, 4, 5),
        equal_steps={
            "phases": "var-supernet-phases",
            "p=0.5": "var-supernet-p50",
            "p=0.1": "var-supernet-p10",
            "p=1": "var-supernet-p100",
        },
    ),
    "ten": Lineup(
        page="decoding_ten",
        title="Decoding strategies on ten scales",
        base="var-ten",
        small="var-ten-small",
        supernet="var-ten",
        untrained="var-ten-first",
        drafter="var-ten-drafter",
        refiner="var-ten-refiner",
        bridge=6,
        drafted=(6, 7, 8, 9),
        depths=(2, 3, 4, 5),
    ),
}
