"""What the suites of published edits share: cases from files, in the order of the files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from leaderboard.item import Item
from leaderboard.suites.base import Suite

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.published_edits import Case


class PublishedEdits(Suite):
    """Base class.

    Attributes:
        masks: whether cases say what may change.
    """

    task = "instruct"
    masks: ClassVar[bool] = False

    @abstractmethod
    def cases(self) -> tuple[Sequence[Case], Mapping[str, np.ndarray]]:
        """All cases, and their pictures by content hash.

        Raises:
            VarSpacesError: if the files are missing or are not what they should be.
        """

    def items(self) -> Sequence[Item]:
        return [
            Item(
                number,
                {"source": case.source, "instruction": case.instruction},
                {
                    "suite": self.name,
                    "source": case.source,
                    "group": case.group,
                    "caption": case.after,
                    "source-caption": case.before,
                    **({"mask": case.mask} if self.masks else {}),
                },
            )
            for number, case in enumerate(self.cases()[0])
        ]

    def pictures(self) -> Mapping[str, np.ndarray]:
        return self.cases()[1]
