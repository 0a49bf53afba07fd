"""Published networks as tiny random ones of the same architecture, where the adapters look.

Weights cannot be fetched here; the code around them runs all the same: a cache of the Hub and a
folder of data are filled with files in the layouts of the real ones, only smaller.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

WORDS = (
    "yes", "no", "two", "2", "Two", "Yes", "is", "there", "a", "dog", "cat", "?", "how", "many",
    "one", "in", "word", "answer", ".", "user", "assistant", "Answer", "Is", "How", "the", "image",
)  # fmt: skip


class Networks:
    """A machine on which some networks lie.

    Args:
        cache: of the Hub.
        data: folder of ``VAR_SPACES_DATA``.
    """

    def __init__(self, cache: Path, data: Path) -> None:
        self.cache, self.data = cache, data

    def folder(self, repository: str) -> Path:
        """Where the files of a repository lie, as after a download."""
        place = self.cache / f"models--{repository.replace('/', '--')}"
        snapshot = place / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True, exist_ok=True)
        (place / "refs").mkdir(exist_ok=True)
        (place / "refs" / "main").write_text("0" * 40)
        return snapshot

    def inception(self) -> None:
        from leaderboard.extractors import inception

        self._pth(inception.NAME, inception.build().state_dict())

    def alexnet(self) -> None:
        """Its classifier, which LPIPS does not use, is one number that is seen many times."""
        from torchvision.models import alexnet

        from leaderboard.extractors import lpips_alex

        with torch.device("meta"):
            shapes = {key: value.shape for key, value in alexnet().state_dict().items()}
        state = {
            key: 0.05 * torch.randn(shape)
            if key.startswith("features")
            else torch.zeros(1).expand(shape)
            for key, shape in shapes.items()
        }
        self._pth(f"torch/hub/checkpoints/{lpips_alex.NAME}", state)

    def dino(self, repository: str, architecture: str) -> None:
        import timm

        model = timm.create_model(architecture, num_classes=0, img_size=224)
        save_file(model.state_dict(), self.folder(repository) / "model.safetensors")

    def clip(self, repository: str, file: str, architecture: str) -> None:
        """A CLIP of a registered tiny architecture, see :func:`tiny_clip`."""
        import open_clip

        state = open_clip.create_model(architecture).state_dict()
        path = self.folder(repository) / file
        if path.suffix == ".safetensors":
            save_file({key: value.contiguous() for key, value in state.items()}, path)
        else:
            torch.save({"state_dict": state}, path)

    def csd(self, architecture: str) -> None:
        """Two heads on the trunk of a tiny CLIP, see :func:`tiny_clip`."""
        import open_clip

        from leaderboard.extractors import csd

        trunk = open_clip.create_model(architecture).visual
        state = {f"{csd.TRUNK}{key}": value for key, value in trunk.state_dict().items()}
        proj = state.pop(f"{csd.TRUNK}proj")
        state |= {f"last_layer_{head}": torch.randn_like(proj) for head in ("style", "content")}
        state = {key: value.contiguous() for key, value in state.items()}
        save_file(state, self.folder(csd.REPOSITORY) / csd.FILE)

    def mask2former(self, repository: str, seen: int) -> None:
        """A detector whose queries all see one class, everywhere."""
        from transformers import (
            Mask2FormerConfig,
            Mask2FormerForUniversalSegmentation,
            Mask2FormerImageProcessor,
            SwinConfig,
        )

        swin = SwinConfig(
            image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )  # fmt: skip
        config = Mask2FormerConfig(
            backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32,
            encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
            dim_feedforward=16, num_queries=3, num_labels=80,
        )  # fmt: skip
        config.id2label = {i: f"thing {i}" for i in range(80)} | {seen: "dog"}
        config.label2id = {name: i for i, name in config.id2label.items()}
        model = Mask2FormerForUniversalSegmentation(config).eval()
        with torch.no_grad():
            model.class_predictor.weight.zero_()
            model.class_predictor.bias.zero_()[seen] = 20.0
        folder = self.folder(repository)
        model.save_pretrained(folder)
        size = {"height": 64, "width": 64}
        Mask2FormerImageProcessor(size=size, do_resize=True).save_pretrained(folder)

    def blip(self, repository: str, says: str) -> None:
        """A model that gives one answer to everything."""
        from transformers import (
            BertTokenizerFast,
            BlipConfig,
            BlipForQuestionAnswering,
            BlipImageProcessor,
            BlipProcessor,
        )

        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *WORDS]
        folder = self.folder(repository)
        words = BertTokenizerFast(
            vocab={word: i for i, word in enumerate(vocabulary)}, bos_token="[DEC]"
        )
        text = {
            "vocab_size": len(vocabulary), "hidden_size": 16, "encoder_hidden_size": 16,
            "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "bos_token_id": 5, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0,
            "tie_word_embeddings": False,
        }  # fmt: skip
        image = {
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
        }  # fmt: skip
        config = BlipConfig(text_config=text, vision_config=image, tie_word_embeddings=False)
        model = BlipForQuestionAnswering(config).eval()
        self._say(model.text_decoder, [5, words.convert_tokens_to_ids(says), 3])
        model.save_pretrained(folder)
        pixels = BlipImageProcessor(size={"height": 32, "width": 32})
        BlipProcessor(pixels, words).save_pretrained(folder)
        self._alone(folder, "preprocessor_config.json", pixels)

    @staticmethod
    def _say(decoder: Any, ids: list[int]) -> None:
        """Make a text decoder give these tokens, one after the other, whatever it is shown."""
        head, seen = decoder.cls.predictions, []
        hook = head.transform.register_forward_hook(lambda *found: seen.append(found[2][0]))
        with torch.no_grad():
            for name, weight in decoder.named_parameters():
                if "crossattention.output.dense" in name:
                    weight.zero_()
            decoder(
                input_ids=torch.tensor([ids[:-1]]),
                encoder_hidden_states=torch.zeros(1, 1, 16),
                is_decoder=True,
            )
            hook.remove()
            states = seen[0]
            head.decoder.weight.zero_()
            head.bias.zero_()
            for step, token in enumerate(ids[1:]):
                head.decoder.weight[token] = 100 * (states[step] - states[1 - step])

    def qwen3_vl(self, repository: str) -> None:
        from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor

        words = chat_words(WORDS)
        vision = {
            "depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
            "patch_size": 8, "spatial_merge_size": 2, "out_hidden_size": 32,
            "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
        }  # fmt: skip
        rope = {"mrope_section": [4, 2, 2], "mrope_interleaved": True}
        config = Qwen3VLConfig(
            text_config=chat_text(len(words), head_dim=16, **rope),
            vision_config=vision, tie_word_embeddings=False, **chat_ids(words),
        )  # fmt: skip
        folder = self.folder(repository)
        Qwen3VLForConditionalGeneration(config).eval().save_pretrained(folder)
        save_chat(Qwen3VLProcessor, words, 8, folder)

    def qwen2_5_vl(self, name: str, says: str | None = None) -> None:
        """With ``says`` it says that, whatever it sees."""
        from transformers import (
            Qwen2_5_VLConfig,
            Qwen2_5_VLForConditionalGeneration,
            Qwen2_5_VLProcessor,
        )

        words = chat_words((*WORDS, says or "nothing"))
        vision = {
            "depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
            "patch_size": 56, "spatial_merge_size": 2, "out_hidden_size": 32,
            "window_size": 224, "fullatt_block_indexes": [1],
        }  # fmt: skip
        config = Qwen2_5_VLConfig(
            text_config=chat_text(len(words), mrope_section=[4, 2, 2]),
            vision_config=vision, tie_word_embeddings=False, **chat_ids(words),
        )  # fmt: skip
        model = Qwen2_5_VLForConditionalGeneration(config).eval()
        if says is not None:
            with torch.no_grad():
                model.model.language_model.norm.weight.zero_()  # all words are as likely ...
            others = set(range(len(words))) - {words.convert_tokens_to_ids(says)}
            model.generation_config.suppress_tokens = sorted(others)  # ... but one
        folder = self.data / name
        model.save_pretrained(folder)
        save_chat(Qwen2_5_VLProcessor, words, 56, folder)

    def _pth(self, name: str, state: dict[str, torch.Tensor]) -> None:
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path)

    @staticmethod
    def _alone(folder: Path, name: str, part: Any) -> None:
        """The older layout: a file for a part of a processor."""
        if not (folder / name).exists():
            part.save_pretrained(folder)


CHAT = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>",
        "<|vision_start|>", "<|vision_end|>", "<unk>")  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m.role }} {% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %} {{ c.text }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)


def chat_words(words: tuple[str, ...]) -> Any:
    """A tokenizer of whole words, with the tokens of Qwen's conversations."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*CHAT, *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.add_special_tokens(list(CHAT[:-1]))
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", pad_token="<|endoftext|>",
        eos_token="<|im_end|>", additional_special_tokens=list(CHAT[1:7]),
        extra_special_tokens={
            "image_token": "<|image_pad|>", "video_token": "<|video_pad|>",
            "vision_bos_token": "<|vision_start|>", "vision_eos_token": "<|vision_end|>",
        },
    )  # fmt: skip


def chat_text(words: int, head_dim: int | None = None, **rope: Any) -> dict[str, Any]:
    """Sizes of a language model."""
    sizes = {
        "vocab_size": words, "hidden_size": 32, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, **rope},
    }  # fmt: skip
    return sizes if head_dim is None else {**sizes, "head_dim": head_dim}


def chat_ids(words: Any) -> dict[str, int]:
    names = {"image": "image_pad", "video": "video_pad"}
    names |= {"vision_start": "vision_start", "vision_end": "vision_end"}
    return {f"{key}_token_id": words.convert_tokens_to_ids(f"<|{n}|>") for key, n in names.items()}


def save_chat(processor: type, words: Any, patch: int, folder: Path) -> None:
    from transformers import Qwen2VLImageProcessor, Qwen3VLVideoProcessor

    pixels = Qwen2VLImageProcessor(
        patch_size=patch, merge_size=2, min_pixels=(2 * patch) ** 2, max_pixels=(8 * patch) ** 2
    )
    processor(pixels, words, Qwen3VLVideoProcessor(), chat_template=TEMPLATE).save_pretrained(
        folder
    )


def tiny_clip(folder: Path, name: str = "tiny-clip", side: int = 32) -> str:
    """Make a tiny architecture known to open_clip; returns its name."""
    import open_clip

    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": side, "layers": 2, "width": 32, "patch_size": 8,
                       "head_width": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2,
                     "layers": 1},
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return name
