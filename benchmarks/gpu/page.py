"""The numbers of a GPU as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import table


def page(results: Mapping[str, Any]) -> str:
    """Markdown of everything that was measured."""
    parts = [f"# On a GPU\n\n`{results['command']}`\n\nMeasured on {results['machine']}."]
    if results.get("tests"):
        parts.append("## Tests\n\n" + "\n".join(f"* {line}" for line in results["tests"]))
    if results.get("training"):
        parts.append("## Training\n\n" + _training(results["training"]))
    if results.get("speed"):
        parts.append("## Speed\n\n" + _speed(results["speed"]))
    return "\n\n".join(parts) + "\n"


def _training(models: Sequence[Mapping[str, Any]]) -> str:
    head = ["recipe", "minutes", "images", "images/s", "what came out"]
    rows = []
    for model in models:
        if "why" in model:
            rows.append([model["recipe"], "", "", "", model["why"]])
            continue
        rate = model["images"] / (60 * model["minutes"]) if model["minutes"] else ""
        shown = ", ".join(f"{k} {v:.4g}" for k, v in model["metrics"].items())
        rows.append([model["recipe"], model["minutes"], model["images"], rate, shown])
    return table(head, rows)


def _speed(rows: Sequence[Mapping[str, Any]]) -> str:
    ceiling = next((row for row in rows if row["case"] == "ceilings"), {})
    by_case: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row["case"] != "ceilings":
            by_case.setdefault(row["case"], {})[row["way"]] = row
    lines = []
    for name, ways in by_case.items():
        plain = ways.get("eager half") or ways.get("eager float32") or {}
        for way, row in ways.items():
            if "why" in row:
                lines.append([name, way, row["why"], "", "", "", "", ""])
                continue
            operations = row.get("operations")
            kind = "float32" if way == "eager float32" else _half(name)
            share = operations and operations / row["seconds"] / ceiling[kind]
            peak, said = row.get("peak_bytes"), row.get("estimated_bytes")
            lines.append(
                [
                    name,
                    way,
                    1e3 * row["seconds"],
                    row.get("images_per_second", ""),
                    "" if not share else f"{100 * share:.0f} %",
                    "" if not peak else peak / 2**30,
                    "" if not said or not peak else peak / said,
                    "" if row is plain or not plain.get("tokens") else _equal(row, plain),
                ]
            )
    head = ["case", "way", "ms", "images/s", "of the ceiling", "GiB", "of the estimate", "tokens"]
    return f"{_ceilings(ceiling)}\n\n{EXPLAINED}\n\n{table(head, lines)}"


EXPLAINED = """Medians of up to five runs after some that do not count, decoder and sampling
included; weights are random. "eager" is the reference's way of computing: torch's own operations,
launched one by one. The share of the ceiling counts the operations of all products. GiB is the peak
of what was allocated, and beside it that as a part of what the zoo estimates. The last column is
the share of tokens that are those of the plain run."""


def _half(case: str) -> str:
    return "bfloat16" if case.startswith("infinity") else "float16"


def _ceilings(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    products = ", ".join(f"{found[k] / 1e12:.3g} ({k})" for k in ("float32", "bfloat16", "float16"))
    return f"Ceilings: {found['copy'] / 1e9:.0f} GB/s copied, TFLOP/s of products {products}."


def _equal(row: Mapping[str, Any], plain: Mapping[str, Any]) -> str:
    pairs = [
        (a, b)
        for ours, theirs in zip(row["tokens"], plain["tokens"], strict=True)
        for a, b in zip(ours, theirs, strict=True)
    ]
    return f"{100 * sum(a == b for a, b in pairs) / len(pairs):.1f} %"
