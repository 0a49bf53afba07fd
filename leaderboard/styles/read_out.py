"""Which thing and which style the judge's features show, for more names than the judge was taught.

The judge names the 64 things and five styles that generators are trained on. Its features tell the
others of the suite apart too: ``read_out.safetensors`` holds ridge regressions from them onto all
names (Hoerl & Kennard 1970), fitted on every thing of ``concepts()`` in every style as the atlas
draws it, plain and as the tokenizer of the text models gives it back. ``fit`` made it:

    python -m leaderboard.styles.read_out

It knows drawings that it saw; a thing in a style of which it saw no such drawing it names badly.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard.styles import sheet
from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from var_spaces.evaluators.judge import Judge
    from var_spaces.training.data.scene import Scene

FILE = Path(__file__).parent / "read_out.safetensors"
STYLES = ("soft", "blob", "glossy", "flat", "round", sheet.UNSEEN_STYLE)
RIDGE = 0.03
BACKGROUNDS = ("white", "white", "white", "sky", "cream", "pink", "blue")
VIEWS, SEED, AT_ONCE = 3, 18, 64


def concepts() -> tuple[str, ...]:
    """Names of all things: those of generators, and those that none was trained on."""
    from var_spaces.training.data.index import CORE_64

    return (*CORE_64, *(name for name, _ in sheet.NAMES["concept"]))


def features(judge: Judge, images: Tensor) -> Tensor:
    """What is read: pooled features, then mean and deviation over positions of every layer's unit
    features; images ``(B, 3, 64, 64)`` in [-1, 1] to ``(B, d)``."""
    import torch

    from var_spaces.training.losses.perceptual import PerceptualLoss

    parts = [judge.features(images)]
    for layer in PerceptualLoss(judge.trunk).layers(images):
        parts += [layer.mean((2, 3)), layer.std((2, 3))]
    return torch.cat(parts, 1)


class ReadOut:
    """The read-out of the file.

    Raises:
        VarSpacesError: if there is none.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        from safetensors.torch import load_file

        if not FILE.is_file():
            raise VarSpacesError(f"{FILE.name} is missing: python -m leaderboard.styles.read_out")
        held = load_file(FILE, str(device))
        self.mean, self.scale = held["mean"], held["scale"]
        self.weight, self.bias = held["weight"], held["bias"]
        self.concepts = concepts()

    def __call__(self, found: Tensor) -> tuple[list[str], list[str]]:
        """Thing and style in every row of features ``(B, d)``."""
        scores = ((found - self.mean) / self.scale) @ self.weight + self.bias
        thing, style = scores.split([len(self.concepts), len(STYLES)], 1)
        return (
            [self.concepts[i] for i in thing.argmax(1).tolist()],
            [STYLES[i] for i in style.argmax(1).tolist()],
        )


# --- how it was made ------------------------------------------------------------------------------


def pairs() -> list[tuple[str, str]]:
    """Every (thing, style) that the atlas draws."""
    atlas = sheet._atlas()
    return [
        (thing, style)
        for thing in concepts()
        for style in STYLES
        if atlas.table[atlas.concept_id(thing), atlas.style_id(style)] >= 0
    ]


def scenes(seed: int) -> list[Scene]:
    """One large thing each, for all pairs: size, place and background vary with the seed."""
    import random

    from var_spaces.training.data.scene import Object, Scene

    chance, found = random.Random(seed), []
    for thing, style in pairs():
        x, y = (0.5 + chance.uniform(-0.03, 0.03) for _ in range(2))
        one = Object(thing, style, cx=x, cy=y, size=chance.uniform(0.78, 0.94))
        found.append(Scene(chance.choice(BACKGROUNDS), (one,)))
    return found


def seen(seed: int, tokenizer: Any = None) -> Tensor:
    """Features of :func:`scenes`, of what a tokenizer gives back of them if there is one."""
    import torch

    from leaderboard.extractors.judge import FOLDER
    from var_spaces.evaluators.judge import load_judge

    judge, _ = load_judge(FOLDER)
    images = torch.from_numpy(sheet.drawn(scenes(seed))).permute(0, 3, 1, 2) / 127.5 - 1
    parts = []
    with torch.no_grad():
        for part in images.split(AT_ONCE):
            part = part if tokenizer is None else tokenizer.reconstruct(part)
            parts.append(features(judge.eval(), part))
    return torch.cat(parts)


def fit() -> dict[str, Tensor]:
    """The tensors of the file."""
    import torch
    import torch.nn.functional as F

    from var_spaces.zoo.residency import Residency

    with Residency().lease(["t2i-bit"], "cpu") as (model,):
        rows = [seen(SEED + n) for n in range(VIEWS)]
        rows += [seen(SEED + VIEWS + n, model.tokenizer) for n in range(VIEWS)]
    names, table = concepts(), pairs()
    thing = F.one_hot(torch.tensor([names.index(name) for name, _ in table]), len(names))
    style = F.one_hot(torch.tensor([STYLES.index(name) for _, name in table]), len(STYLES))
    wanted = torch.cat((thing, style), 1).double().repeat(len(rows), 1)
    found = torch.cat(rows).double()
    mean, scale, bias = found.mean(0), found.std(0) + 1e-6, wanted.mean(0)
    x = (found - mean) / scale
    gram = x.mT @ x + RIDGE * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    weight = torch.linalg.solve(gram, x.mT @ (wanted - bias))
    held = {"mean": mean, "scale": scale, "weight": weight, "bias": bias}
    return {name: value.float().contiguous() for name, value in held.items()}


def main() -> None:
    """Make the file, and say how often it is right about other views of the same drawings."""
    from safetensors.torch import save_file

    from var_spaces.zoo.residency import Residency

    save_file(fit(), FILE)
    read, table = ReadOut(), pairs()
    with Residency().lease(["t2i-bit"], "cpu") as (model,):
        for kind, tokenizer in (("drawn", None), ("reconstructed", model.tokenizer)):
            things, styles = read(seen(1000, tokenizer))
            for name, unseen in (("known styles", False), ("unseen style", True)):
                chosen = [i for i, p in enumerate(table) if (p[1] == sheet.UNSEEN_STYLE) == unseen]
                right = [
                    sum(seen[i] == table[i][kind] for i in chosen) / len(chosen)
                    for kind, seen in enumerate((things, styles))
                ]
                print(f"{kind}, {name}: thing {right[0]:.3f}, style {right[1]:.3f}")


if __name__ == "__main__":
    main()
