"""The page of ``benchmarks/decoding.py``: tables and a picture, embedded and full size."""

from __future__ import annotations

from typing import Any

from decoding_cost import Cost, describe
from PIL import Image
from report import table

from var_spaces.training.images.charts import COLOURS, Panel
from var_spaces.zoo.cards import get_card

GROUPS = ("plain", "CoDe", "VARiant")
# supernets that were trained from var-base for equally many steps, by what they are called
EQUAL_STEPS = {
    "phases": "var-supernet-phases",
    "p=0.5": "var-supernet-p50",
    "p=0.1": "var-supernet-p10",
    "p=1": "var-supernet-p100",
}
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

Supernets trained from var-base for equally many steps, by the same recipe but for the share p of \
sub-network iterations: three phases, or a fixed share.

{table}

"""


def of_equal_steps(name: str) -> bool:
    return name.rpartition(" ")[2] in EQUAL_STEPS


def probed(probe: dict[str, list[float]]) -> str:
    """Which scales need their depth."""
    lengths, plain = get_card("var-base").schedule.lengths, probe["none"]
    rows = []
    for name, nats in probe.items():
        halved = [int(word) - 1 for word in name.split() if word.isdigit()]
        more = sum(n * (x - y) for n, x, y in zip(lengths, nats, plain, strict=True))
        each = more / sum(lengths[k] for k in halved) if halved else 0.0
        rows.append([name, " ".join(f"{x:.2f}" for x in nats), each])
    head = ("half of the blocks at", "nats per token of each scale")
    head += ("more nats of the image per halved token",)
    return (
        "## Which scales need their depth\n\nvar-base, untrained for it, with 3 of 6 blocks at two "
        f"scales only, on ground-truth tokens.\n\n{table(head, rows)}\n\n"
    )


def page(
    cells: dict[str, dict[str, Any]], probe: dict[str, list[float]], costs: dict[str, Cost]
) -> str:
    """All tables with what they show."""
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
    equal = [rows.pop(name) for name in cells if of_equal_steps(name)]
    return (
        f"## Embedded models\n\n{base['images']} images per case, the same classes, styles and "
        "seeds; sampling and guidance are those of var-base's card. The bridge of VARiant is the "
        "first 3 of 6 scales; its d=6 is the whole supernet. Parameters count every model of a "
        f"case.\n\n{table(HEAD, rows.values())}\n\n![Quality against time](decoding.png)\n\n"
        + (EQUAL.format(table=table(HEAD, equal)) if equal else "")
        + probed(probe)
        + f"## Full size, counted\n\n{describe(costs)}"
    )


def pareto(cells: dict[str, dict[str, Any]]) -> Image.Image:
    """Frechet distance against processor time: lower left is better."""
    points = {
        name: (c["seconds"], c["frechet"]) for name, c in cells.items() if not of_equal_steps(name)
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
        panel.text((x - r - 2, y) if left else (x + r + 2, y), short, 10, "rm" if left else "lm")
    return panel.image
