"""Layouts of all published files, built without memory, equal what their authors' code makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import get_card, known
from var_spaces.zoo.checkpoints import fit
from var_spaces.zoo.families import FAMILIES
from var_spaces.zoo.manifest import FILE_BUFFERS, build, manifest

GOLDEN = Path(__file__).parents[1] / "golden" / "manifests"
LAYOUTS = {
    "var-tokenizer": "vae_ch160v4096z32",
    **{f"var-d{depth}": f"var_d{depth}" for depth in (16, 20, 24, 30)},
    "var-d36-512": "var_d36_512",
    **{f"hmar-d{depth}": f"hmar_d{depth}" for depth in (16, 20, 24, 30)},
    **{f"code-drafter-{n}": "var_d30" for n in (6, 7, 8, 9)},
    **{f"code-refiner-{n}": "var_d16" for n in (6, 7, 8, 9)},
    **{f"infinity-{size}": f"infinity_{size}" for size in ("125m", "2b", "8b")},
    "infinity-8b-512": "infinity_8b",
    **{f"varedit-2b-{pixels}": "infinity_2b" for pixels in (512, 1024)},  # no new parameters
    **{f"varedit-8b-{pixels}": "infinity_8b" for pixels in (512, 1024)},
    "arbooth-2b": "arbooth_2b",
    **{f"infinity-tokenizer-{n}": f"infinity_vae_{n}" for n in ("d16", "d24", "d32", "d32reg")},
    "flexvar-tokenizer": "flexvar_vae",
    **{f"flexvar-d{depth}": f"flexvar_d{depth}" for depth in (16, 20, 24)},
    "infinity-tokenizer-d64": "infinity_vae_d64",
    "infinity-tokenizer-d56": "infinity_vae_d56_f8_14_patchify",
}


ECHOGEN = "echogen-2b"  # nobody listed its file; a block of another size is in the fixtures


def layout(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


def test_every_published_card_has_its_layout():
    published = {name for name, card in known().items() if card.source}
    assert published == {*LAYOUTS, ECHOGEN}


@pytest.mark.parametrize("model", LAYOUTS)
def test_layout(model):
    assert manifest(get_card(model)) == layout(LAYOUTS[model])


@pytest.mark.golden("echogen_block")
def test_layout_of_echogen(golden):
    """Every block has the keys of the published block, in Infinity-2B's sizes."""
    card = get_card(ECHOGEN)
    found, depth = manifest(card), card.architecture["depth"]
    block = {key for key in golden.state("block.") if "control" in key}
    added = {key for key in found if not key.startswith("blocks.")}
    assert found.keys() - added == {f"blocks.{n}.{key}" for n in range(depth) for key in block}
    layers = {
        "control_proj_for_ca": (0, 2),
        "control_proj_for_ca_refer": (0, 2),
        "control_shared_ada_lin": (1,),
        "control_shared_ada_lin_refer": (1,),
        "control_shared_ada_lin_refer_dino": (1,),
    }
    names = {f"{name}.{n}" for name, numbers in layers.items() for n in numbers}
    names.add("control_proj_for_sos")
    rows = {"control_pos_start", "control_features_uncond", "control_features_refer_uncond"}
    assert added == rows | {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    assert found["control_features_uncond"][0] == [1025, 768]
    assert found["control_features_refer_uncond"][0] == [4096, 16]
    assert found["control_proj_for_sos.weight"][0] == [2048, 768]


@pytest.mark.parametrize("model", ["var-d16", "hmar-d16", "infinity-125m", "var-tokenizer"])
def test_a_loader_takes_the_file_buffers(model):
    """What a manifest lists beside the module's own keys is tolerated by name."""
    import torch

    card = get_card(model)
    state = {
        key: torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
        for key, (shape, dtype) in manifest(card).items()
    }
    module = build(card)
    assert fit(state, module, "It").keys() == module.state_dict().keys()


def test_every_family_has_a_line():
    assert FILE_BUFFERS.keys() == FAMILIES.keys()


def test_a_bad_architecture(use_tiny_models):
    card = get_card("tiny-var")
    bad = card.model_copy(update={"architecture": {**card.architecture, "heads": 3}})
    with pytest.raises(VarSpacesError, match="bad architecture in its card"):
        manifest(bad)


@pytest.mark.parametrize("scales", [6, 7, 8, 9])
def test_a_drafter_draws_with_its_refiner(scales):
    """Each was trained for its part of the scales."""
    drafter = get_card(f"code-drafter-{scales}")
    pair = methods.parse("decoding", drafter.defaults["decoding"])
    assert pair.drafted == scales and get_card(pair.refiner).family == "var"
