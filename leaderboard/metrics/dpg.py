"""DPG-Bench: questions about a dense prompt, answered by a model that looks at the image.

Hu et al. 2024 (ELLA, arXiv 2403.05135). A question whose parent in the dependency graph is answered
"no" counts as "no". The authors ask mPLUG-large; who is asked here is in the metric's identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor


@register
class Dpg(PerImage):
    """0..100, mean over images of the share of questions answered "yes"."""

    name = "dpg"
    title = "DPG-Bench (BLIP VQA)"
    paper = "https://arxiv.org/abs/2403.05135"
    better = "higher"
    facts = ("questions",)

    @property
    def uses(self) -> Extractor:
        from leaderboard.extractors.base import get_extractor

        return get_extractor("blip-vqa")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        import numpy as np

        network = context.network(self.uses)
        scores = []
        for item, image in zip(batch.items, batch.images, strict=True):
            questions = item.facts["questions"]
            answers = network.ask(image, [question["text"] for question in questions])
            scores.append(100 * share_of_yes(questions, answers))
        return np.array(scores)


def share_of_yes(questions: Sequence[Mapping[str, Any]], answers: Sequence[bool]) -> float:
    """Mean over questions; one counts only if all its parents hold too.

    Args:
        questions: ``id`` and ``parents`` (ids; none for a root).
        answers: whether each was answered "yes".
    """
    said = {question["id"]: answer for question, answer in zip(questions, answers, strict=True)}
    right = [
        said[question["id"]] and all(said.get(parent, False) for parent in question["parents"])
        for question in questions
    ]
    return sum(right) / len(right)
