"""What weights of few bits cost in quality: on embedded models, against float32 in the same run.

``KL`` is that of the token distributions under teacher forcing, in nats, on pictures that the
float32 model drew; ``same tokens`` is how often the likeliest token stays the same. The judge that
was trained apart names class and style of newly drawn pictures of the trained pairs.

    python benchmarks/quantisation.py --models var-small var-base
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import torch
from classes import JUDGE, accuracy, pairs
from report import table, write
from torch import Tensor

from var_spaces.evaluators.judge import load_judge
from var_spaces.zoo.cards import Card, get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.residency import module_bytes

CASES = (
    ("float32", torch.float32, "none"),
    ("bfloat16", torch.bfloat16, "none"),
    ("int8", torch.float32, "int8"),
    ("int8-dynamic", torch.float32, "int8-dynamic"),
    ("nf4", torch.float32, "nf4"),
)
SETTING = {"guidance": 1.5, "top_k": 0, "top_p": 0.96}
HEAD = ("model", "weights", "MB", "KL", "same tokens", "images", "class", "style")


@torch.no_grad()
def drawn(tokenizer, backbone, labels: Tensor) -> Tensor:
    """Teacher-forcing inputs of pictures that a model draws of (class, style) pairs, unguided."""
    from var_spaces.training.images.samples import generate

    images = generate(tokenizer, backbone, labels[:, 0].tolist(), labels[:, 1].tolist(), guidance=0)
    return tokenizer.teacher_forcing(tokenizer.encode(images))


@torch.no_grad()
def compare(backbone, labels: Tensor, tokens: Tensor, reference: Tensor) -> tuple[float, float]:
    """KL in nats from the reference's log-probabilities, and agreement of the likeliest tokens."""
    ours = backbone(labels[:, 0], tokens, labels[:, 1]).log_softmax(-1)
    kl = (reference.exp() * (reference - ours)).sum(-1).mean()
    return float(kl), float((reference.argmax(-1) == ours.argmax(-1)).float().mean())


def measure(card: Card) -> list[dict]:
    judge, judged = load_judge(JUDGE)
    tokenizer = load_module(get_card(card.tokenizer))
    labels = pairs(card, "train")
    found, tokens, reference = [], None, None
    for name, dtype, quant in CASES:
        backbone = load_module(card, "cpu", dtype, quant)
        if reference is None:
            tokens = drawn(tokenizer, backbone, labels)
            with torch.no_grad():
                reference = backbone(labels[:, 0], tokens, labels[:, 1]).log_softmax(-1)
        kl, same = compare(backbone, labels, tokens, reference)
        model = SimpleNamespace(card=card, tokenizer=tokenizer, backbone=backbone)
        named = accuracy(model, judge, judged, labels, 1, SETTING)
        row = {"model": card.id, "weights": name, "MB": module_bytes(backbone) / 1e6, "KL": kl}
        row |= {"same tokens": same, **named}
        found.append(row)
        print([row[key] for key in HEAD], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["var-small", "var-base"])
    args = parser.parse_args()
    data = [row for name in args.models for row in measure(get_card(name))]
    text = table(HEAD, [[row[key] for key in HEAD] for row in data])
    print(write("quantisation", "What weights of few bits cost in quality", data, text))


if __name__ == "__main__":
    main()
