"""A trained network as a model folder: weights, machine-readable card, human-readable card."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.var import VAR
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.clip_network import Clip, ClipConfig
from var_spaces.evaluators.folder import fill
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.training.engine.config import build
from var_spaces.training.recipes.judge import Judge, JudgeNetwork
from var_spaces.zoo.writer import CARD, save_model

if TYPE_CHECKING:
    from var_spaces.training.data.sampler import SceneSampler
    from var_spaces.training.engine.trainer import Recipe, Trainer

FAMILIES = {
    "tokenizer": "residual-vq",
    "transformer": "var",
    "supernet": "var",
    "drafter": "var",
    "refiner": "var",
    "hmar": "hmar",
    "judge": "judge",
    "bitwise": "bitwise",
    "text-transformer": "infinity",
    "parser": "parser",
    "clip": "clip",
    "flex-tokenizer": "flex-vq",
    "flex-transformer": "flexvar",
}
ROLES = {
    "tokenizer": "tokenizer",
    "transformer": "generator",
    "supernet": "generator",
    "drafter": "generator",
    "refiner": "generator",
    "hmar": "generator",
    "judge": "judge",
    "bitwise": "tokenizer",
    "text-transformer": "generator",
    "parser": "evaluator",
    "clip": "evaluator",
    "flex-tokenizer": "tokenizer",
    "flex-transformer": "generator",
}
# Kinds with classes and styles
LABELLED = ("transformer", "hmar", "supernet", "drafter", "refiner", "flex-transformer", "judge")
LICENCE = "Apache-2.0"
DATA = "assets/atlas (tiers A and B; see assets/LICENSES.md)"
SETTINGS = ("model", "recipe", "codebook", "train")  # sections of a recipe file
PICTURES = ("samples.png", "codebook.png")
DEFAULTS = {
    "sampling": {"name": "top-k-top-p", "top_k": 100, "top_p": 0.95},
    "guidance": {"name": "linear", "scale": 2.5},
}


def export(
    data: dict[str, Any],
    recipe: Recipe,
    model: nn.Module,
    metrics: dict[str, Any],
    trainer: Trainer,
    models: Path,
) -> Path:
    """Write ``models/<id>`` from averaged weights.

    Args:
        data: the recipe file.
        metrics: what the last evaluation measured.
        models: folder of model folders.

    Returns:
        The model's folder.
    """
    kind = data["kind"]
    card: dict[str, Any] = {
        "format": 1,
        "id": data["id"],
        "title": data.get("title", data["id"]),
        "family": FAMILIES[kind],
        "role": ROLES[kind],
        "architecture": asdict(model.config),
        "resolution": 64,
        "licence": LICENCE,
    }
    if kind in LABELLED:
        classes, styles = label_names(recipe.scenes)
        card |= {"tokenizer": recipe.config.tokenizer, "classes": classes, "styles": styles}
    if kind in LABELLED and ROLES[kind] == "generator":
        card |= {"defaults": DEFAULTS}
    own = getattr(recipe, "card", None)  # some recipes know more
    card |= own() if own else {}
    card |= {
        "training": {
            "data": DATA,
            "scenes": recipe.config.scenes,
            "recipe": {key: data[key] for key in SETTINGS if key in data},
            "minutes": round(trainer.at.elapsed / 60, 1),
            "steps": trainer.at.step,
            "images": trainer.at.images,
            "device": device_name(trainer.device),
            "torch": torch.__version__,
            "commit": commit(),
            **card.get("training", {}),
        },
        "metrics": metrics,
    }
    folder = models / data["id"]
    save_model(folder, card, model.state_dict())
    files = getattr(recipe, "files", dict)()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for name in PICTURES:
        if (trainer.folder / name).is_file():
            (folder / name).write_bytes((trainer.folder / name).read_bytes())
    write_readme(folder)
    return folder


def label_names(scenes: SceneSampler) -> tuple[list[str], list[str]]:
    """Names of classes and styles in label order."""
    classes = [scenes.atlas.concepts[i].name for i in scenes.concepts.tolist()]
    return classes, [scenes.atlas.styles[i] for i in scenes.styles.tolist()]


def write_readme(folder: Path) -> None:
    """Write the human-readable card from ``card.json``."""
    card = json.loads((folder / CARD).read_text("utf-8"))
    training = card["training"]
    lines = [
        f"# {card['title']} (`{card['id']}`)",
        "",
        f"* **Role**: {card['role']}, family `{card['family']}`, {card['resolution']} px",
        f"* **Licence**: {card['licence']}; trained on {training['data']}",
        f"* **Training budget**: {training['minutes']} minutes, {training['steps']} steps, "
        f"{training['images']} images on {training['device']} (torch {training['torch']})",
        f"* **Recipe**: scenes `{training['scenes']}`; all settings in `card.json`; "
        f"code at commit `{training['commit']}`",
        f"* **Weights**: SHA-256 `{card['weights_sha256']}`",
        "",
        "| metric | value |",
        "|---|---|",
    ]
    for name, value in card["metrics"].items():
        values = value if hasattr(value, "__len__") else [value]
        lines.append(f"| {name.replace('_', ' ')} | {', '.join(f'{v:.4g}' for v in values)} |")
    if "notes" in card:
        lines += ["", card["notes"].strip()]
    if (folder / "samples.png").is_file():
        lines += ["", "![Unselected samples, fixed seed](samples.png)"]
    if (folder / "codebook.png").is_file():
        lines += ["", "![How often each code is chosen, and usage over the run](codebook.png)"]
    (folder / "README.md").write_text("\n".join(lines) + "\n", "utf-8")


def load_tokenizer(folder: Path) -> ResidualVQ:
    """Read a tokenizer's model folder without the zoo (a training machine may lack pydantic).

    Raises:
        VarSpacesError: if the folder holds no tokenizer.
    """
    card = read_card(folder, "tokenizer --config vq-tokenizer")
    model = ResidualVQ(build(ResidualVQConfig, card["architecture"], f"the card in {folder}"))
    return fill(model, folder)


def load_transformer(folder: Path) -> VAR:
    """Read a class-conditional transformer's model folder without the zoo.

    Raises:
        VarSpacesError: if the folder holds none.
    """
    card = read_card(folder, "transformer --config var-base")
    return fill(VAR(build(VARConfig, card["architecture"], f"the card in {folder}")), folder)


def load_judge(folder: Path) -> tuple[Judge, dict[str, Any]]:
    """Read the judge and its card.

    Raises:
        VarSpacesError: if the folder holds no judge.
    """
    card = read_card(folder, "judge --config judge")
    config = build(JudgeNetwork, card["architecture"], f"the card in {folder}")
    return fill(Judge(config), folder), card


def load_clip(folder: Path) -> Clip:
    """Read an embedded CLIP.

    Raises:
        VarSpacesError: if the folder holds none.
    """
    card = read_card(folder, "clip --config clip")
    return fill(Clip(build(ClipConfig, card["architecture"], f"the card in {folder}")), folder)


def read_card(folder: Path, recipe: str) -> dict[str, Any]:
    try:
        return json.loads((folder / CARD).read_text("utf-8"))
    except (OSError, ValueError):
        raise VarSpacesError(
            f"No model in {folder}: train one first, 'python -m var_spaces.training {recipe}'."
        ) from None


def device_name(device: torch.device) -> str:
    """Hardware a run used, e.g. ``2 CPU threads`` or the name of a GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads"


def commit() -> str:
    """Short commit of the code that trained, or ``unknown`` outside a checkout."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"
