"""The page of ``benchmarks/cache.py``: all numbers, and whether the papers' orders hold here."""

from __future__ import annotations

from typing import Any

from report import table

from var_spaces.zoo.cards import get_card

CLAIMS = [
    ("HACK", "SnapKV", "HACK, table at equal budget"),
    ("HACK", "H2O", "HACK, table at equal budget"),
    ("HACK", "StreamingLLM", "HACK, table at equal budget"),
    ("HACK", "random", "HACK, table at equal budget"),
    ("HACK", "HACK swapped", "HACK, ablation"),
    ("HACK++", "HACK", "HACK++"),
    ("HACK++ seeing all", "SnapKV", "HACK++, storage alone"),
    ("ScaleKV", "PyramidKV", "ScaleKV, table"),
    ("ScaleKV", "SnapKV", "ScaleKV, table"),
    ("SnapKV", "StreamingLLM", "ScaleKV, table"),
    ("StreamingLLM", "sliding window", "ScaleKV, table"),
    ("HeatKV", "ScaleKV", "HeatKV"),
]
HEAD = (
    "model",
    "policy",
    "budget",
    "tokens equal",
    "last scale equal",
    "KL",
    "KL last scale",
    "PSNR dB",
    "SSIM",
    "latent distance",
    "Frechet",
    "history kB",
    "peak kB",
    "s / image",
)


def page(found: list[dict[str, Any]]) -> str:
    """Table of all cells, and what became of the papers' orders."""
    rows = [
        [
            c["model"],
            c["policy"],
            f"{c['budget']:.0%}",
            c["tokens"],
            c["tokens_last"],
            c["kl"],
            c["kl_per_scale"][-1],
            c["psnr"],
            c["ssim"],
            c["latent"],
            c["frechet"],
            c["history"] // 1024,
            c["peak"] // 1024,
            c["seconds"],
        ]
        for c in found
    ]
    by = {(c["model"], c["policy"], c["budget"]): c for c in found}
    orders = []
    for model, budget in sorted({(c["model"], c["budget"]) for c in found}):
        for better, worse, source in CLAIMS:
            pair = by.get((model, better, budget)), by.get((model, worse, budget))
            if all(pair):
                a, b = pair
                holds = "holds" if a["kl"] <= b["kl"] else "does not hold"
                orders.append(
                    [
                        model,
                        f"{budget:.0%}",
                        f"{better} over {worse}",
                        source,
                        holds,
                        a["kl"],
                        b["kl"],
                        a["psnr"],
                        b["psnr"],
                    ]
                )
    shares = {}
    for model in dict.fromkeys(c["model"] for c in found):
        schedule = get_card(model).schedule
        shares[model] = f"{schedule.lengths[-1] / schedule.total:.0%} ({model})"
    last = ", ".join(shares.values())
    head = ("model", "budget", "order", "claimed by", "here (by KL)", "KL", "KL", "PSNR", "PSNR")
    return (
        "KL is that of the guided logits from those of the full cache, in nats per token on the "
        "tokens of the full cache. Latent distance stands in for LPIPS: rms difference "
        "of the tokenizer's latents over their deviation; the Frechet distance is that of the mean "
        "latents. History is what the last scale looks back on, peak the largest sum of buffers; "
        "both per image, unconditional rows included. HACK and HACK++ also cut what a scale sees "
        "of itself, by design. All other policies let it see itself whole, and so does 'HACK++ "
        f"seeing all'. The last scale is {last} of all tokens, so that cut weighs much.\n\n"
        f"{table(HEAD, rows)}\n\n## What the papers claim\n\n{table(head, orders)}\n"
    )
