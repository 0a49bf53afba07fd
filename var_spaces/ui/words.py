"""Words on the page: plain first, the paper's term beside it.

Parameters that are not listed here are called by their own name, so a new method needs no entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape, unescape
from typing import NamedTuple

from var_spaces import methods
from var_spaces.methods import Method
from var_spaces.spec import RunSpec

MOST_LETTERS = 200  # of a prompt in the name of a run

# by field of the form: "seed", "inputs.class", the kind of a method, or "<kind>.<parameter>"
LABELS: Mapping[str, str] = {
    "model": "Model",
    "task": "What to do (task)",
    "inputs.source": "Your picture",
    "inputs.map": "A ready map in place of a picture: hand it in, or draw it",
    "inputs.control": "What to follow (control)",
    "inputs.strength": "How closely (strength)",
    "inputs.from_scale": "First scale that follows (from_scale)",
    "inputs.to_scale": "Last scale that follows (to_scale)",
    "inputs.instruction": "What to change (instruction)",
    "inputs.word": "Word for your thing",
    "inputs.prompt": "What to draw (prompt)",
    "inputs.negative_prompt": "What to avoid (negative prompt)",
    "inputs.faces": "Good faces, if the prompt has people (faces)",
    "inputs.aspect": "Width : height (aspect ratio)",
    "inputs.mode": "What to paint (mode)",
    "inputs.rectangle": "Region in numbers, if none is painted (rectangle)",
    "inputs.keeps": "What stays of your picture (keeps)",
    "inputs.composite": "Keep all other pixels exactly (composite)",
    "inputs.restore": "Keep your pixels below this difference (restore)",
    "inputs.keep": "Coarse scales that stay (keep)",
    "inputs.background": "What is behind the thing (background)",
    "inputs.class": "What to draw (class)",
    "inputs.style": "Drawing style (style)",
    "inputs.width": "Width in pixels",
    "inputs.height": "Height in pixels",
    "inputs.steps": "Scales to draw (steps)",
    "seed": "Seed",
    "count": "Pictures (batch size)",
    "first": "Number of the first picture",
    "guidance": "Guidance method",
    "guidance.scale": "Strength (guidance scale, CFG)",
    "guidance.condition": "Strength of the picture (condition)",
    "guidance.picture": "Strength of the picture (picture)",
    "guidance.ramp": "Scales until the full weight (ramp)",
    "guidance.max_side": "Full weight beyond this side (max_side)",
    "guidance.layers": "After which blocks (layers)",
    "sampling": "Sampling method",
    "sampling.top_k": "Candidates per token (top-k)",
    "sampling.top_p": "Probability kept (top-p)",
    "sampling.temperature": "Boldness (temperature)",
    "sampling.smooth": "Smooth picture (more_smooth)",
    "sampling.max_side": "Likeliest codes beyond this side (max_side)",
    "sampling.forbidden": "Codes that are never drawn (forbidden)",
    "sampling.drawn": "Sides of maps that are drawn (drawn)",
    "cache.budget": "Share that is kept (budget)",
    "cache.recent": "Share of the newest tokens (recent)",
    "cache.mode": "Version of the method (mode)",
    "cache.heads": "How heads are told apart (heads)",
    "cache.alpha": "Share of contextual heads (alpha)",
    "cache.ratio": "Structural over contextual budget (ratio)",
    "cache.observed": "Queries that score (observed)",
    "cache.merge": "What becomes of evicted entries (merge)",
    "cache.attention": "Share that one attention sees (attention)",
    "cache.power": "How unequal budgets are (power)",
    "cache.shared": "One choice for all conditions (shared)",
    "cache.calibration": "What was measured beforehand (calibration)",
    "cache.sinks": "First ones that always stay (sinks)",
    "cache.window": "Newest tokens that decide (window)",
    "cache.kernel": "Width of the pooling (kernel)",
    "cache.pooling": "How neighbours are pooled (pooling)",
    "cache.steepness": "How much less deep layers get (steepness)",
    "cache.bits": "Bits of a number (bits)",
    "cache.policy": "What decides what stays (policy)",
    "cache.policy_budget": "Share that it keeps (policy_budget)",
    "cache.seed": "Seed of the choice (seed)",
    "cache.scoring": "How tokens are scored (scoring)",
    "cache.drafters": "Share that drafts (drafters)",
    "cache": "What stays in memory (cache policy)",
    "decoding": "Who draws what (decoding strategy)",
    "decoding.reward": "Who judges (reward)",
    "decoding.candidates": "How many to choose from (candidates)",
    "decoding.refiner": "Model for large scales (refiner)",
    "decoding.drafted": "Scales that are drafted (drafted)",
    "decoding.refiner_guidance": "Guidance of the refiner (refiner_guidance)",
    "decoding.refiner_temperature": "Boldness of the refiner (refiner_temperature)",
    "decoding.refiner_top_k": "Candidates of the refiner (refiner_top_k)",
    "decoding.refiner_top_p": "Probability of the refiner (refiner_top_p)",
    "decoding.strength": "How much it counts (strength)",
    "decoding.steps": "Passes of each scale (steps)",
    "decoding.splits": "Tokens settled by each pass (splits)",
    "decoding.guidance": "Guidance of masked passes (guidance)",
    "decoding.depth": "Blocks at late scales (depth)",
    "decoding.bridge": "First scales with all blocks (bridge)",
    "decoding.sizes": "Candidates at each stage (sizes)",
    "decoding.clustering": "Keep different looks (clustering)",
    "decoding.resampling": "Draw by reward (resampling)",
    "decoding.cluster_scales": "When looks are told apart (cluster_scales)",
    "decoding.resample_scales": "When it is drawn by reward (resample_scales)",
    "decoding.potential": "What of the reward counts (potential)",
    "decoding.top": "How many rewards are summed (top)",
    "decoding.features": "What looks are told by (features)",
    "decoding.vectors": "How a look becomes numbers (vectors)",
}


class Limits(NamedTuple):
    """What models cannot do, and the suite that measured it."""

    suite: str
    by_model: Mapping[str, str]


# What models that come along cannot do, where it is asked for, by field; what stands on them can do
# no more. Measured in docs/edit.md, docs/text_to_image.md and on the leaderboard.
LIMITS: Mapping[str, Limits] = {
    "inputs.instruction": Limits(
        "embedded-instruct",
        {
            "edit-bit": "This model removes things and changes backgrounds best, then adds, "
            "duplicates and resizes things; of two things it needs to be told where the one is "
            "that is meant. It rarely replaces a thing, and changes no styles.",
        },
    ),
    "inputs.prompt": Limits(
        "embedded-text",
        {
            "t2i-refined": "This model draws up to three things, each in a colour, in one style, "
            "on any background, where you ask for them; without places two stand on a diagonal, in "
            "the order of your words. Two in a colour each come out in three pictures of four.",
            "t2i-bit": "This model draws one large thing in a style on a plain background.",
        },
    ),
    "inputs.style": Limits(
        "embedded-class",
        {
            "var-base": "Half of the pairs of class and style that this model was not trained on "
            "come out in another style; all others hardly ever.",
            "var-small": "One picture in five comes out in another style.",
            "hmar": "One picture in eleven comes out in another style.",
            "var-ten": "One picture in eleven comes out in another style.",
            "var-ten-small": "One picture in four comes out in another style, and details are "
            "coarse.",
            "flexvar": "One picture in three comes out in another style, and things are soft.",
        },
    ),
}


def limits(key: str, model: str) -> str | None:
    """What a model is known not to do with a field, as Markdown with the way to the numbers."""
    known = LIMITS.get(key)
    said = known and known.by_model.get(model)
    return said and f"{said} [Its numbers](?tab=leaderboard&protocol={known.suite})"


# Sections of the form, by the kinds of method they hold; the first one is open.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Following the class or prompt (guidance)": ("guidance",),
    "Choosing tokens (sampling)": ("sampling",),
    "Memory and speed (cache, decoding)": ("cache", "decoding"),
}


def label(key: str) -> str:
    """What a field is called; one of a single task as that of others, else by its name."""
    part, _, name = key.rpartition(".")
    shared = f"inputs.{name}" if part.startswith("inputs.") else key
    return LABELS.get(key) or LABELS.get(shared) or name.replace("_", " ").capitalize()


def asked(spec: RunSpec) -> Iterator[str]:
    """What a run was asked for, in words: inputs that are not as usual, pictures left out.

    It is a name of the run; of a long prompt, which may have thousands of letters, it is the
    beginning.
    """
    for option in methods.cli_options(methods.get("task", spec.task)):
        value = spec.inputs.get(option.field)
        is_word = option.type is str and not option.many and option.content in ("", "prompt")
        if is_word and value not in (None, option.default):
            yield text if len(text := str(value)) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."


def plain_explanation(cls: type[Method]) -> str:
    """First sentence of a method's docstring as plain text."""
    return unescape(re.sub(r"</?code>", "", explanation(cls)))


def explanation(cls: type[Method]) -> str:
    """First sentence of a method's docstring as HTML; its title if there is none."""
    text = escape(" ".join((cls.__doc__ or "").split()), quote=False)
    sentence = re.match(r".+?\.(?=\s|$)", text)
    return re.sub(r"``(.+?)``", r"<code>\1</code>", sentence[0] if sentence else f"{cls.title}.")


def sentence(text: str) -> str:
    """Help text of a parameter as a sentence."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def bytes_text(count: float) -> str:
    """``1536`` -> ``1.5 KiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if count >= 100 or unit == "B" else f"{count:.1f} {unit}"


def seconds_text(seconds: float) -> str:
    """``0.0123`` -> ``12 ms``; from one second on ``1.23 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def pixels_text(size: tuple[int, int], times: int = 1) -> str:
    """``(64, 64)`` -> ``64 px``, ``(64, 96)`` -> ``96 x 64 px``: width first, as people say it."""
    height, width = (side * times for side in size)
    return f"{width} px" if height == width else f"{width}×{height} px"


def plural(count: int, noun: str, several: str = "") -> str:
    """``1 token``, ``9 tokens``, ``2 classes``."""
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"
