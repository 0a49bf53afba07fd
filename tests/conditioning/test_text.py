"""Text encoders: the embedded one equals its original, prompts of any kind, T5 from local files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from var_spaces import methods
from var_spaces.adapters.base import Prepared
from var_spaces.backbones.text_features import TextFeatures, concatenate
from var_spaces.conditioning import text as text_module
from var_spaces.conditioning.flan_t5 import FlanT5
from var_spaces.conditioning.minilm import MiniLM
from var_spaces.conditioning.packed_encoder import MINILM, load_minilm
from var_spaces.conditioning.prompts import clean_prompt
from var_spaces.conditioning.text_conditioning import TextConditioning
from var_spaces.decoding.backbone import batch_rows
from var_spaces.errors import VarSpacesError
from var_spaces.zoo.estimate import encoder_bytes
from var_spaces.zoo.residency import module_bytes

ROOT = Path(__file__).resolve().parents[2]
STRANGE = {
    "empty": "",
    "spaces": " \t\n ",
    "emoji": "😀 a 🍎",
    "family": "👩‍👩‍👧 at home",
    "russian": "красное яблоко",
    "japanese": "赤いりんご",
    "arabic": "تفاحة حمراء",
    "accents": "un château très élégant",
    "controls": "a\x00red\x1b[31m apple\x7f",
    "half a surrogate": "a \ud83d apple",
    "marks": "!?#@[CLS] [SEP] <s> %s {x}",
    "one long word": "x" * 5000,
    "long": "a red apple " * 2000,
}


@pytest.fixture(autouse=True)
def fresh():
    text_module.forget()
    yield
    text_module.forget()


@pytest.mark.golden("minilm_states")
def test_embedded_encoder_equals_the_original(golden):
    encoder = load_minilm()
    atol = golden.spec["tolerance"]["float32_atol"]
    for index, states in enumerate(encoder(golden.spec["prompts"])):
        expected = golden.tensors[f"states_{index}"]
        assert (states[:, :: golden.spec["stride"]] - expected).abs().max() < atol


def test_shards_are_small_and_nothing_is_unknown_in_captions():
    assert all(path.stat().st_size < 10_000_000 for path in MINILM.iterdir())
    tokens = load_minilm().tokenizer.tokenize("a kitty next to two glossy fir trees, navy backdrop")
    assert "[UNK]" not in tokens
    assert {"kitty", "glossy", "navy", "backdrop"} <= set(tokens)


@pytest.mark.parametrize("prompt", STRANGE.values(), ids=STRANGE)
def test_any_text_is_taken(prompt):
    encoder = MiniLM(max_length=16)
    features = encoder.encode([prompt, "a cat"])
    assert features.packed.shape[1] == 384
    assert 2 <= features.lengths[0] <= 16
    assert features.packed.isfinite().all()


def test_unknown_words_fall_back_to_their_parts():
    pieces = load_minilm().tokenizer.tokenize("velociraptorish")
    assert len(pieces) > 1
    assert "[UNK]" not in pieces
    assert "".join(piece.removeprefix("##") for piece in pieces) == "velociraptorish"


def test_features_do_not_depend_on_the_company():
    encoder = MiniLM()
    together = encoder.encode(
        ["a red apple", "two cats on a very long and winding road", "a red apple"]
    )
    text_module.forget()
    alone = encoder.encode(["a red apple"])
    rows = together.prompts()
    assert torch.equal(rows[0], alone.packed)
    assert torch.equal(rows[2], alone.packed)


def test_prompts_are_read_once(monkeypatch):
    encoder = MiniLM()
    encoder.encode(["a cat"])
    monkeypatch.setattr(MiniLM, "load", None)  # its weights are not needed again
    assert torch.equal(encoder.encode(["  a   cat\n"]).packed, encoder.encode(["a cat"]).packed)


def test_the_memory_of_prompts_is_bounded(monkeypatch):
    monkeypatch.setattr(text_module, "KEPT_PROMPTS", 2)
    encoder = MiniLM(max_length=8)
    assert encoder.encode(["a", "b", "c", "d"]).lengths == (3, 3, 3, 3)
    assert len(text_module._features) == 2
    monkeypatch.setattr(text_module, "KEPT_PROMPTS", 512)
    one = text_module._kept_bytes() // 2
    monkeypatch.setattr(text_module, "KEPT_BYTES", 3 * one + 1)
    assert encoder.encode(["e", "f", "g", "h"]).lengths == (3, 3, 3, 3)
    assert len(text_module._features) == 3


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        (" a\tred\n apple ", "a red apple"),
        ("a\x00b\x7f", "a b"),
        ("e\u0301", "é"),
        ("👩‍👧", "👩‍👧"),
        ("\ud83d", ""),
    ],
)
def test_clean_prompt(given, clean):
    assert clean_prompt(given) == clean


def test_packing():
    rows = [torch.arange(2.0 * n).view(n, 2) for n in (3, 1)]
    text = TextFeatures.of(rows)
    padded = text.padded()
    assert padded.shape == (2, 3, 2)
    assert padded[1, 1:].abs().sum() == 0
    assert text.mask().tolist() == [[True] * 3, [True, False, False]]
    assert TextFeatures.of([rows[0], rows[0]]).mask() is None
    both = concatenate([text, text])
    assert both.lengths == (3, 1, 3, 1)
    assert torch.equal(both.prompts()[2], rows[0])


@pytest.mark.parametrize(("rows", "lengths"), [(3, (1, 1)), (2, (2, 0)), (0, ())])
def test_packing_that_does_not_fit(rows, lengths):
    with pytest.raises(VarSpacesError, match="text"):
        TextFeatures(torch.zeros(rows, 4), lengths)


@pytest.fixture(scope="module")
def tiny_t5(tmp_path_factory) -> Path:
    """A random T5 with a word tokenizer, as files."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    folder = tmp_path_factory.mktemp("t5")
    vocab = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "red": 4, "apple": 5}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    torch.manual_seed(0)
    T5EncoderModel(T5Config(vocab_size=6, **sizes)).save_pretrained(folder)
    return folder


def test_t5_from_files(tiny_t5):
    encoder = FlanT5(model=str(tiny_t5), max_length=4)
    text = encoder.encode(["a red apple a red", "", "apple"])
    assert text.lengths == (4, 1, 2)  # the end token counts, padding does not
    assert text.packed.dtype == torch.float32


@pytest.mark.parametrize("kind", ["minilm", "t5"])
def test_encoders_read_embeddings_too(kind, tiny_t5):
    """Learned rows take gradients; the encoder's own rows give what its words give, bit for bit."""
    encoder = load_minilm() if kind == "minilm" else FlanT5(model=str(tiny_t5)).load("cpu")
    prompts = ["a red apple", "a"]
    embedded = [encoder.embeddings(ids) for ids in encoder.ids(prompts)]
    for read, states in zip(encoder.read(embedded), encoder(prompts), strict=True):
        assert torch.equal(read, states)
    learned = embedded[0][1:2].clone().requires_grad_()
    (states,) = encoder.read([torch.cat((embedded[0][:1], learned, embedded[0][2:]))])
    states.square().sum().backward()
    assert learned.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_what_a_run_learned_reaches_no_other_run():
    """An adapter's rows are put behind what the encoder remembers, not into it."""

    class Learned(Prepared):
        def text(self, prompts, row, encode):
            return TextFeatures.of([rows * 0 - 1 for rows in encode(prompts).prompts()])

    class Seen:
        def parameters(self):
            return iter([torch.zeros(1)])

        def empty_text(self, lengths):
            return TextFeatures.of([torch.zeros(length, 384) for length in lengths])

        def condition(self, text):
            return text

    words = TextConditioning(("a red apple", "a key"), MiniLM(), loaded=load_minilm())
    rows = batch_rows(("full", "text", "null"), (1, 0))
    before = words.embed(Seen(), rows)
    changed = words.embed(Seen(), rows, Learned())
    after = words.embed(Seen(), rows)
    assert torch.equal(before.packed, after.packed)
    assert before.lengths == changed.lengths == after.lengths
    assert [float(p.mean()) for p in changed.prompts()] == [-1, -1, -1, -1, 0, 0]


def test_placeholders_are_one_token(tiny_t5, tmp_path):
    """Whatever stands around them; T5's is the first row of its matrix that no word uses."""
    from transformers import AutoTokenizer, T5EncoderModel

    model = T5EncoderModel.from_pretrained(tiny_t5)
    model.resize_token_embeddings(8, mean_resizing=False)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_t5).save_pretrained(tmp_path)
    roomy = FlanT5(model=str(tmp_path))
    assert roomy.load("cpu").tokenizer(roomy.placeholder)["input_ids"] == [6, 1]
    for encoder in (MiniLM(), roomy):
        before = encoder.encode(["a red"]).lengths[0]
        text = encoder.encode([f"a red {encoder.placeholder} apple"])
        assert text.lengths[0] == before + 2
    full = FlanT5(model=str(tiny_t5))  # no room: the word is an unknown one
    assert full.load("cpu").tokenizer(full.placeholder)["input_ids"][:-1] != [6]


def test_bytes_are_known_before(tiny_t5, monkeypatch):
    for name, parameters in (("xl", 1_223_527_424), ("small", 35_332_800)):
        published = {"name": "flan-t5", "model": f"google/flan-t5-{name}"}
        assert encoder_bytes(published, "cpu") == 4 * parameters
        assert encoder_bytes(published, "cuda") == 2 * parameters
    local = {"name": "flan-t5", "model": str(tiny_t5)}
    assert encoder_bytes(local, "cpu") == module_bytes(FlanT5(model=str(tiny_t5)).load("cpu"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(VarSpacesError, match="Cannot load the text encoder"):
        encoder_bytes({"name": "flan-t5", "model": "nobody/knows"}, "cpu")


def test_t5_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(VarSpacesError, match="Cannot load the text encoder"):
        FlanT5(model=str(tmp_path)).encode(["a"])


def test_listing_encoders_imports_no_torch():
    code = (
        "import sys; from var_spaces import methods; "
        "[methods.describe('text_encoder', n) for n in methods.names('text_encoder')]; "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0
    assert methods.parse("text_encoder", {"name": "minilm"}) == MiniLM()


def test_pruned_tokenizer_is_what_the_original_had():
    data = json.loads((MINILM / "tokenizer.json").read_text("utf-8"))
    ids = list(data["model"]["vocab"].values())
    assert ids == list(range(len(ids)))
    config = json.loads((MINILM / "config.json").read_text("utf-8"))
    assert config["vocab_size"] == len(ids)
