"""Images of one's own, as a sweep file lists them, each beside its full-cache twin.

    [suite]
    task = "edit"
    seed = 7

    [[suite.items]]
    source = "apple.png"
    rectangle = [0, 0.5, 1, 1]
    class = "red apple"

A picture or a mask is a file, from the folder of the sweep file; everything else is an input of the
task as on the command line. ``each`` images are drawn of every item, 1 if it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.kv_bytes import KvHistory, KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.psnr import Psnr
from leaderboard.metrics.ssim import Ssim
from leaderboard.metrics.token_agreement import TokenAgreement
from leaderboard.suites.base import OWN, Suite
from var_spaces import methods, pictures
from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.validation import freeze, shorten

if TYPE_CHECKING:
    import numpy as np

KEYS = ("task", "seed", "each", "items")
MAX_IMAGES = 1000
MAX_BYTES = 512 << 20  # of all picture files together


class OwnSuite(Suite):
    """What a cache policy or a strategy changes in images of one's own; no reference is needed.

    It is not registered: only who has the sweep file and its pictures can run it.
    """

    name = OWN
    title = "Images of one's own, beside the full cache"

    version = 1
    against_full = True

    _task: str = PrivateAttr()
    _seed: int = PrivateAttr()
    _items: tuple[Item, ...] = PrivateAttr()
    _files: Mapping[str, tuple[str, bytes]] = PrivateAttr()

    @classmethod
    def of(cls, table: Mapping[str, Any], folder: Path, what: str) -> OwnSuite:
        """The suite that a table of a sweep file describes.

        Args:
            folder: where relative paths of pictures begin.
            what: names the file in messages.

        Raises:
            VarSpacesError: for an unknown key or input, a picture that cannot be read, too many
                images or bytes.
        """
        for key in table:
            if key not in KEYS:
                near = did_you_mean(key, KEYS)
                raise VarSpacesError(f"{what}: unknown key '{key[:40]}' of a suite.{near}")
        asked, each = table.get("items"), table.get("each", 1)
        if not isinstance(asked, list) or not all(isinstance(item, Mapping) for item in asked):
            raise VarSpacesError(f"{what}: 'items' of a suite must be a list of tables of inputs.")
        seed = table.get("seed", 0)
        for name, value, low in (("seed", seed, 0), ("each", each, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise VarSpacesError(
                    f"{what}: {name} = {shorten(value)} must be a whole number from {low} on."
                )
        if not 0 < len(asked) * each <= MAX_IMAGES:
            raise VarSpacesError(
                f"{what}: a suite of {len(asked)} items, {each} images each, is out of range: "
                f"allowed are 1 to {MAX_IMAGES} images."
            )
        suite = cls()
        suite._task, suite._seed, suite._files = table.get("task", "generate"), seed, {}
        suite._items = tuple(
            Item(number * each + i, inputs)
            for number, item in enumerate(asked)
            for inputs in [suite._read(item, folder, f"{what}: item {number + 1}")]
            for i in range(each)
        )
        return suite

    def _read(self, given: Mapping[str, Any], folder: Path, what: str) -> Mapping[str, Any]:
        """The inputs of an item; files of pictures are kept, their hashes take their place."""
        task = methods.get("task", self._task)
        inputs = dict(given)
        for name in task.picture_fields().keys() & given.keys():
            if not isinstance(given[name], str):
                raise VarSpacesError(f"{what}: {name} = {shorten(given[name])} must be a file.")
            try:
                data = pictures.content(folder / given[name])
                hashes, _ = task.take({name: data})
            except OSError as error:
                raise VarSpacesError(
                    f"{what}: {name} cannot be read: {error.strerror}: {folder / given[name]}."
                ) from None
            except VarSpacesError as error:
                raise VarSpacesError(f"{what}: {error}") from None
            inputs |= hashes
            self._files[hashes[name]] = (name, data)
        if sum(len(data) for _, data in self._files.values()) > MAX_BYTES:
            raise VarSpacesError(f"{what}: all pictures together are over {MAX_BYTES >> 20} MiB.")
        try:
            methods.parse("task", {**inputs, "name": self._task})
        except VarSpacesError as error:
            raise VarSpacesError(f"{what}: {error}") from None
        return freeze(inputs)

    @property
    def task(self) -> str:
        return self._task

    @property
    def seed(self) -> int:
        return self._seed

    def items(self) -> Sequence[Item]:
        return self._items

    def metrics(self) -> tuple[Metric, ...]:
        return TokenAgreement(), Psnr(), Ssim(), KvHistory(), KvPeak(), Latency()

    def pictures(self) -> Mapping[str, np.ndarray]:
        return OwnPictures(self._task, self._files)


class OwnPictures(Mapping[str, "np.ndarray"]):
    """Pictures and masks by content hash, read when they are asked for.

    Args:
        task: that they are for; its fields say how each is read.
        files: field and bytes of the file, by content hash of the pixels.
    """

    def __init__(self, task: str, files: Mapping[str, tuple[str, bytes]]) -> None:
        self.task, self.files = methods.get("task", task), files

    def __getitem__(self, key: str) -> np.ndarray:
        name, data = self.files[key]
        return self.task.take({name: data})[1][key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)
