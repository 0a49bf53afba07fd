"""Models, schedules and texts of the VAREdit fixtures; every size comes from the JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.infinity import write_models
from var_spaces.adapters.source_reference import Positions, published_positions
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.text_features import TextFeatures, concatenate
from var_spaces.cache.full import Full
from var_spaces.decoding.backbone import NULL, blocks
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.sampling.bits import BitSampling
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.events import ImageReady
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.zoo.writer import save_model

CASES = ("full", "prefix")
ATOL = 2e-4  # the fixtures' own suggestion for float32


def close(actual: Tensor, expected: Tensor, atol: float = ATOL) -> None:
    torch.testing.assert_close(actual, expected, atol=atol, rtol=1e-4)


@dataclass(frozen=True, eq=False)
class Fixture:
    """Tokenizer, transformer and texts of a fixture."""

    golden: object

    @property
    def config(self) -> dict:
        return self.golden.spec["config"]

    def __getitem__(self, name: str) -> Tensor:
        return self.golden.tensors[name]

    @property
    def tokenizer(self) -> Bitwise:
        config, vae = self.config, self.config["vae"]
        model = Bitwise(
            BitwiseConfig(
                ch=vae["base_ch"],
                ch_mult=tuple(vae["ch_mult"]),
                num_res_blocks=vae["num_res_blocks"],
                bits=config["codebook_dim"],
                patchify=bool(config["apply_spatial_patchify"]),
            )
        )
        state = model.adapt_state(self.golden.state("vae."))
        own = model.state_dict()
        model.load_state_dict({key: state[key].float() for key in own})
        return model.eval().requires_grad_(False)

    @property
    def model(self) -> Infinity:
        config = self.config
        fold = 4 if config["apply_spatial_patchify"] else 1
        sizes = InfinityConfig(
            depth=config["depth"],
            width=config["embed_dim"],
            heads=config["num_heads"],
            latent_dim=config["codebook_dim"] * fold,
            patch_nums=tuple(range(1, 1 + len(config["table_schedule"]))),
            text_dim=config["text_channels"],
            text_len=config["text_maxlen"],
            chunks=config["block_chunks"],
            mlp_ratio=config["mlp_ratio"],
            norm_eps=config["rms_norm_eps"],
            levels=self.golden.tensors["model.lvl_embed.weight"].shape[0],
        )
        model = Infinity(sizes)
        state = model.adapt_state(self.golden.state("model."))
        model.load_state_dict({k: v.float() for k, v in state.items() if "zero_k_bias" not in k})
        return model.eval().requires_grad_(False)

    @property
    def text(self) -> TextFeatures:
        return TextFeatures(self["in.text_feats"], self["in.cu_seqlens"].diff().tolist())

    @property
    def table(self) -> ScaleSchedule:
        return _schedule(self.config["table_schedule"])

    def schedule(self, case: str) -> ScaleSchedule:
        return _schedule(self.config["schedules"][case])

    def positions(self, case: str) -> Positions:
        head_dim = self.config["embed_dim"] // self.config["num_heads"]
        return published_positions(self.schedule(case), head_dim, "cpu", self.table)


@dataclass
class Given:
    """Text features as the condition of a run."""

    text: TextFeatures

    def embed(self, backbone, rows, adapter=None):
        prompts, parts = self.text.prompts(), []
        for name, images in blocks(rows).items():
            text = TextFeatures.of([prompts[image] for image in images])
            parts.append(backbone.empty_text(text.lengths) if name == NULL else text)
        return backbone.condition(concatenate(parts))


class Silent:
    """No noise: the likelier bit is drawn."""

    def gumbel(self, rows, scale, part, tokens, vocab):
        return torch.zeros(len(rows), tokens, vocab)


def draw(
    tokenizer, model, schedule, text, adapter, guidance, temperature=1.0, cache=None, decoding=None
):
    """Logits after temperature and guidance, ids and f_hat per scale; images."""
    seen: dict[str, dict[int, Tensor]] = {"filtered": {}, "ids": {}, "f_hat": {}, "kept": {}}

    def observe(what, scale, tensor):
        seen.get(what, {})[scale] = tensor

    setup = RunSetup(
        tokenizer=tokenizer,
        backbone=model,
        schedule=schedule,
        conditioning=Given(text),
        images=tuple(range(len(text))),
        noise=Silent(),
        sampling=BitSampling(temperature=(temperature,), top_p=0),
        guidance=guidance,
        cache=cache or Full(),
        decoding=decoding or PlainDecoding(),
        adapter=adapter,
        observe=observe,
    )
    images = [event.image for event in run(setup) if isinstance(event, ImageReady)]
    return seen, images


def _schedule(sizes: list) -> ScaleSchedule:
    return ScaleSchedule(tuple(tuple(size) for size in sizes))


def write_editor(root: Path) -> Path:
    """A models folder with random editors beside ``tiny-t2i``: ``tiny-edit``, ``tiny-finest`` (no
    aligned reference) and ``tiny-published`` (positions of released models)."""
    write_models(root)
    card, state = _read(root / "tiny-bits")
    state["encoder.conv_out.conv.weight"] *= 100  # or all pictures look alike to a random encoder
    save_model(root / "tiny-bits", card, state)
    card, state = _read(root / "tiny-t2i")
    adapter = {"name": "scale-aligned-reference", "rope_layout": "aligned", "source_dropout": True}
    kinds = {
        "tiny-edit": adapter,
        "tiny-finest": {**adapter, "reference": "finest-only"},
        "tiny-published": {"name": "scale-aligned-reference"},
    }
    for name, described in kinds.items():
        defaults = {**card["defaults"], "task": {"name": "instruct"}}
        own = {"id": name, "title": name, "family": "varedit", "adapter": described}
        save_model(root / name, {**card, **own, "defaults": defaults}, state)
    return root


def _read(folder: Path) -> tuple[dict, dict[str, Tensor]]:
    card = json.loads((folder / "card.json").read_text("utf-8"))
    return card, {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
