"""The page of ``benchmarks/decoding.py``: tables and a picture, embedded and full size."""

from __future__ import annotations

from typing import Any

from decoding_cost import Cost, describe
from decoding_lineups import Lineup
from PIL import Image
from report import table

from var_spaces.training.images.charts import COLOURS, Panel
from var_spaces.zoo.cards import get_card

GROUPS = ("plain", "CoDe", "VARiant")
HEAD = (
    "case",
    "Frechet (CLIP)",
    "class right",
    "style right",
    "nats per token of each scale",
    "CPU s / image",
    "speed-up",
    "peak KV kB / image",
    "parameters, M",
)


EQUAL = """## Three phases or a fixed ratio

Supernets trained from {base} for equally many steps, by the same recipe but for the share p of \
sub-network iterations: three phases, or a fixed share.

{table}

"""


def probed(base: str, probe: dict[str, list[float]]) -> str:
    """Which scales need their depth."""
    card, plain = get_card(base), probe["none"]
    lengths, blocks = card.schedule.lengths, card.architecture["depth"]
    rows = []
    for name, nats in probe.items():
        halved = [int(word) - 1 for word in name.split() if word.isdigit()]
        more = sum(n * (x - y) for n, x, y in zip(lengths, nats, plain, strict=True))
        each = more / sum(lengths[k] for k in halved) if halved else 0.0
        rows.append([name, " ".join(f"{x:.2f}" for x in nats), each])
    head = ("half of the blocks at", "nats per token of each scale")
    head += ("more nats of the image per halved token",)
    return (
        f"## Which scales need their depth\n\n{base}, untrained for it, with {blocks // 2} of "
        f"{blocks} blocks at two scales only, on ground-truth tokens.\n\n{table(head, rows)}\n\n"
    )


def page(
    lineup: Lineup,
    cells: dict[str, dict[str, Any]],
    probe: dict[str, list[float]],
    costs: dict[str, Cost],
) -> str:
    """All tables with what they show."""
    scales = get_card(lineup.base).schedule.num_scales
    base = cells["plain base"]
    rows = {
        name: [
            name,
            c["frechet"],
            c["class"],
            c["style"],
            " ".join(f"{x:.2f}" for x in c["nats"]),
            c["seconds"],
            base["seconds"] / c["seconds"],
            c["kv_bytes"] / 1024,
            c["parameters"] / 1e6,
        ]
        for name, c in cells.items()
    }
    equal = [rows.pop(name) for name in cells if lineup.of_equal_steps(name)]
    return (
        f"## Embedded models\n\n{base['images']} images per case, the same classes, styles and "
        f"seeds; sampling and guidance are those of {lineup.base}'s card. The bridge of VARiant is "
        f"the first {lineup.bridge} of {scales} scales. Parameters count every model of a case."
        f"\n\n{table(HEAD, rows.values())}\n\n![Quality against time]({lineup.page}.png)\n\n"
        + (EQUAL.format(base=lineup.base, table=table(HEAD, equal)) if equal else "")
        + (probed(lineup.untrained, probe) if probe else "")
        + f"## Full size, counted\n\n{describe(costs)}"
    )


def pareto(lineup: Lineup, cells: dict[str, dict[str, Any]]) -> Image.Image:
    """Frechet distance against processor time: lower left is better."""
    points = {
        name: (c["seconds"], c["frechet"])
        for name, c in cells.items()
        if not lineup.of_equal_steps(name)
    }
    xs, ys = zip(*points.values(), strict=True)
    panel = Panel(
        "Quality against time, embedded models (dots: memory)",
        ("CPU seconds per image", "Frechet distance (CLIP), lower is better"),
        (min(xs), max(xs)),
        (min(ys), max(ys)),
    )
    largest = max(c["kv_bytes"] for c in cells.values())
    for name, point in points.items():
        colour = COLOURS[[name.startswith(group) for group in GROUPS].index(True)]
        x, y = panel.place(*point)
        r = 2 + 5 * cells[name]["kv_bytes"] / largest
        panel.draw.ellipse([x - r, y - r, x + r, y + r], colour)
        short = name.replace("VARiant ", "").replace("training-free", "free")
        left = x > panel.image.width * 0.7
        if left:  # above, where it ends with its dot and meets no other
            panel.text((x + r, y - r - 1), short, 10, "rb")
        else:
            panel.text((x + r + 2, y), short, 10, "lm")
    return panel.image
