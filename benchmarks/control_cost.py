"""What control costs: operations of Infinity-2B, counted without numbers, and time of `t2i-bit`.

    python benchmarks/control_cost.py

Counted is one image of 1 megapixel over all 13 scales, on tensors that have shapes and no memory;
all rows of guidance are counted. Measured is one image of 64 px: seconds of the processor, which
other work on the machine does not change much, median of nine, with untrained adapters, whose time
is that of trained ones.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from decoding_cost import Operations
from report import table, write

from var_spaces.adapters.reference_attention import ReferenceAttention
from var_spaces.adapters.reference_run import PreparedControl
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.kv import KVCache
from var_spaces.decoding.backbone import batch_rows
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.manifest import build

WAYS = ("reference", "joint", "additive")
ROUNDS = 9
TEXT = 16  # tokens of a prompt


def names_of(adapter: ReferenceAttention | None) -> tuple[str, ...]:
    """Rows of guidance."""
    return adapter.rows if adapter else ("full", "null")


def draw(model: Any, stream: Any, maps: torch.Tensor, names: tuple[str, ...]) -> None:
    """All blocks at all scales, as a run does: the stream first, then scale by scale."""
    schedule, device = model.schedule, maps.device
    rows = batch_rows(names, [0])
    features = torch.zeros(TEXT * len(rows), model.config.text_dim, device=device)
    context = model.context(model.condition(TextFeatures(features, (TEXT,) * len(rows))))
    if stream is not None:
        prepared = PreparedControl(stream, model, maps, 0, schedule)
        context = context.extended(prepared.extension(context, rows))
    layers, heads, head_dim = model.kv_layout()
    sizes = {"layers": layers, "rows": len(rows), "heads": heads, "head_dim": head_dim}
    cache = KVCache(**sizes, capacity=schedule.total, device=device)
    for scale, tokens in enumerate(schedule.lengths):
        here = torch.zeros(len(rows), tokens, model.config.width, device=device)
        hidden = model.forward_scale(here, range(scale, scale + 1), context, cache)
        model.logits(hidden, context)


@torch.no_grad()
def cases(card: str, device: str, measure: Any) -> dict[str, float]:
    """A number of the model alone and with each way of control."""
    with torch.device(device):
        model = (
            build(get_card(card)).to_empty(device=device)
            if device == "cpu"
            else build(get_card(card))
        )
        if device == "cpu":
            for parameter in model.parameters():
                parameter.normal_(std=0.02)
        maps = torch.zeros(1, model.schedule.total, model.config.latent_dim)
        found = {"none": measure(model, None, maps, names_of(None))}
        for way in WAYS:
            adapter = ReferenceAttention(way=way)
            found[way] = measure(model, adapter.build(model.config), maps, names_of(adapter))
        found["none, 3 rows"] = measure(model, None, maps, ("full", "text", "null"))
        found["reference, 2 rows"] = measure(
            model, ReferenceAttention().build(model.config), maps, ("full", "null")
        )
    return found


def operations(*case: Any) -> float:
    """In 1e12 floating-point operations."""
    with Operations() as counter:
        draw(*case)
    return counter.total / 1e12


def milliseconds(*case: Any) -> float:
    """Median of some rounds after one more."""
    draw(*case)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        draw(*case)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def main() -> None:
    counted = cases("infinity-2b", "meta", operations)
    measured = cases("t2i-bit", "cpu", milliseconds)
    rows = [
        [name, counted[name], counted[name] / counted["none"], measured[name]] for name in counted
    ]
    head = ("control", "Infinity-2B: TFLOP", "of none", "t2i-bit: CPU ms")
    text = (
        "Rows of guidance are two (full, null) without control and with joint attention, three "
        "(full, text, null) else, unless said otherwise.\n\n" + table(head, rows)
    )
    data = {"tflop": counted, "milliseconds": measured}
    print(write("control_cost", "Cost of control", data, text))


if __name__ == "__main__":
    main()
