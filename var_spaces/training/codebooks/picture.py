"""The state of a codebook in training as a picture."""

from __future__ import annotations

import json
import math
from pathlib import Path

from PIL import Image

from var_spaces.training.codebooks.window import UsageWindow
from var_spaces.training.images.charts import area_chart, line_chart, stacked


def codebook_picture(window: UsageWindow, metrics: Path | None = None) -> Image.Image:
    """Uses of every code, and how usage and perplexity came about.

    Args:
        metrics: the run's ``metrics.jsonl``; None or an absent file leaves the curves empty.
    """
    uses = sorted(window.counts.tolist(), reverse=True)
    usage, perplexity = window.usage.item(), window.perplexity.item()
    title = f"{len(uses)} codes: {100 * usage:.1f} % used, perplexity {perplexity:.0f}"
    bars = area_chart(
        title,
        (f"codes, most used first (last {sum(uses)} assignments)", "log2(1 + uses)"),
        [math.log2(1 + use) for use in uses],
    )
    rows = [row for row in read_rows(metrics) if "usage" in row]
    lines = {
        "usage": [(row["step"], row["usage"]) for row in rows],
        "perplexity / V": [(row["step"], row["perplexity"] / len(uses)) for row in rows],
    }
    return stacked([bars, line_chart("over the run", ("step", "share"), lines, (0, 1))])


def read_rows(metrics: Path | None) -> list[dict]:
    """Rows of a metrics file; a last line that is only half written is left out."""
    if metrics is None or not metrics.is_file():
        return []
    lines = metrics.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]
