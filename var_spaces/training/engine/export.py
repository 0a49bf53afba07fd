"""A trained network as a model folder: weights, machine-readable card, human-readable card."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from var_spaces.errors import VarSpacesError
from var_spaces.int8_rows import packed
from var_spaces.training.engine.models import read_card
from var_spaces.zoo.folders import CARD
from var_spaces.zoo.writer import save_model

if TYPE_CHECKING:
    from var_spaces.training.engine.plan import Plan
    from var_spaces.training.engine.recipe import Recipe
    from var_spaces.training.engine.trainer import Trainer

LICENCE = "Apache-2.0"
DATA = "assets/atlas (tiers A and B; see assets/LICENSES.md)"
SETTINGS = ("model", "recipe", "codebook", "stages", "train")  # sections of a recipe file
PICTURES = ("samples.png", "codebook.png")
MADE = "exported.json"  # in the run folder: digest of the weights that the run wrote


def check_target(plan: Plan) -> None:
    """Refuse a run whose model would take the place of one that it did not make.

    Raises:
        VarSpacesError: if there is such a model and replacing it was not asked for.
    """
    target = plan.target
    if plan.options.replace or not (target / CARD).exists():
        return
    try:
        made = json.loads((plan.folder / MADE).read_text("utf-8"))["weights_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        made = None
    if made is None or read_card(target).get("weights_sha256") != made:
        raise VarSpacesError(
            f"{target} holds a model that this run did not make: give the new one a --name, "
            "--replace that one, or train with --no-export."
        )


def export(
    plan: Plan, recipe: Recipe, model: nn.Module, metrics: dict[str, Any], trainer: Trainer
) -> Path:
    """Write the model folder from averaged weights.

    Args:
        metrics: what the last evaluation measured.

    Returns:
        The model's folder.
    """
    data = plan.data
    check_target(plan)  # it may have appeared while this run trained
    card: dict[str, Any] = {
        "format": 1,
        "id": data["id"],
        "title": data.get("title", data["id"]),
        "licence": LICENCE,
    }
    card |= recipe.described(model) | recipe.card()
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
            "digest": plan.digest(),
            **card.get("training", {}),
        },
        "metrics": metrics,
    }
    folder = plan.target
    try:
        weights = model.state_dict()
        digest = save_model(folder, card, packed(weights) if plan.packed else weights)
        for name, content in recipe.files().items():
            (folder / name).write_bytes(content)
        for name in PICTURES:
            if (trainer.folder / name).is_file():
                (folder / name).write_bytes((trainer.folder / name).read_bytes())
        write_readme(folder)
        (plan.folder / MADE).write_text(json.dumps({"weights_sha256": digest}) + "\n", "utf-8")
    except OSError as error:
        raise VarSpacesError(
            f"The model could not be written to {folder}: {error.strerror or error}. Its "
            "checkpoint is kept: make room or give another --models, and repeat the command."
        ) from None
    return folder


def write_readme(folder: Path) -> None:
    """Write the human-readable card from ``card.json``."""
    card = json.loads((folder / CARD).read_text("utf-8"))
    training = card["training"]
    if "base" in card:
        role = f"adapter `{card['adapter']['name']}` of `{card['base']}`"
    else:
        role = f"{card['role']}, family `{card['family']}`, {card['resolution']} px"
    lines = [
        f"# {card['title']} (`{card['id']}`)",
        "",
        f"* **Role**: {role}",
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
