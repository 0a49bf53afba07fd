"""Weight files of any name, wrapper and intent: read by content, or refused in one line."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from tests.hostile.fuzz import bounded, examples
from var_spaces.cli import main
from var_spaces.errors import VarSpacesError
from var_spaces.zoo import weight_files as weight_files_module
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.locate import MAX_INDEX_BYTES, indexed_names, weight_files
from var_spaces.zoo.manifest import build
from var_spaces.zoo.weight_files import MAX_HEADER, read_state, without_prefixes

STATE = {"a.weight": torch.arange(4.0), "b": torch.ones(2, 2)}


def torch_file(data, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(data, buffer, **options)
    return buffer.getvalue()


def refusal(call, *arguments) -> str:
    with pytest.raises(VarSpacesError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["m.safetensors", "m.ckpt", "m.bin", "m.pth.tar", "m", "m.pth"])
@pytest.mark.parametrize("data", [save(STATE), torch_file(STATE)], ids=["safetensors", "torch"])
def test_the_name_says_nothing(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    if name == "m.safetensors" and not data.startswith(save(STATE)[:8]):
        assert "damaged" in refusal(read_state, [tmp_path / name])
        return
    found = read_state([tmp_path / name])
    assert set(found) == set(STATE) and all(torch.equal(found[k], STATE[k]) for k in STATE)


@pytest.mark.parametrize("wrap", ["state_dict", "model", "ema", "module"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_wrappers_are_taken_off_and_said(tmp_path, wrap, prefix):
    keys = {f"{prefix}{key}": tensor for key, tensor in STATE.items()}
    (tmp_path / "a.pth").write_bytes(torch_file({wrap: keys, "epoch": 3, "optimizer": {}}))
    (tmp_path / "a.bin").write_bytes(save({f"{wrap}.{key}": t for key, t in keys.items()}))
    for name in ("a.pth", "a.bin"):
        notes: list[str] = []
        found = read_state([tmp_path / name], notes=notes)
        found = without_prefixes(found, STATE, notes)
        assert set(found) == set(STATE)
        assert any(wrap in note for note in notes)
        assert not prefix or any(prefix.split(".")[0] in note for note in notes)


def test_of_two_copies_the_usual_one_is_taken_and_the_other_named(tmp_path):
    other = {key: -tensor for key, tensor in STATE.items()}
    (tmp_path / "a.ckpt").write_bytes(torch_file({"ema": other, "model": STATE}))
    notes: list[str] = []
    assert torch.equal(read_state([tmp_path / "a.ckpt"], notes=notes)["b"], STATE["b"])
    assert notes == ["took the entry 'model' and left ema (the card's 'entry' chooses)"]
    both = {f"{w}.{k}": t for w, s in (("ema", other), ("model", STATE)) for k, t in s.items()}
    notes = []
    assert torch.equal(without_prefixes(both, STATE, notes)["b"], STATE["b"])
    assert notes == ["took 'model.*' and left ema.*"]


def test_a_module_keeps_keys_that_look_like_a_wrapper():
    own = {"model.a": STATE["b"]}
    assert without_prefixes(dict(own), own, []) == own
    inner = {"blocks.0._orig_mod.w": STATE["b"], "head": STATE["b"]}
    assert set(without_prefixes(inner, {"blocks.0.w", "head"}, [])) == {"blocks.0.w", "head"}


def test_convert_says_what_it_took_off(use_tiny_models, tmp_path, capsys):
    state = load_file(use_tiny_models / "tiny-var" / "model.safetensors")
    wrapped = {"ema": {f"module.{key}": tensor for key, tensor in state.items()}, "step": 1}
    (tmp_path / "last.ckpt").write_bytes(torch_file(wrapped))
    command = ["convert", "tiny-var", "--from", str(tmp_path / "last.ckpt")]
    assert main([*command, "--out", str(tmp_path / "mine")]) == 0
    said = capsys.readouterr().err
    assert "took the entry 'ema'" in said and "removed 'module.'" in said
    assert len(weight_files(tmp_path / "mine")) == 1


# --- what is no tensor of numbers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(2, 2).to_sparse(),
        lambda: torch.ones(2, 2).to_sparse_csr(),
        lambda: torch.ones(2, 2, device="meta"),
        lambda: torch.quantize_per_tensor(torch.ones(2, 2), 1.0, 0, torch.qint8),
    ],
    ids=["sparse", "csr", "meta", "quantised"],
)
@pytest.mark.filterwarnings("ignore")
def test_only_dense_tensors_are_read(tmp_path, make):
    (tmp_path / "a.pth").write_bytes(torch_file({"a": make()}))
    said = refusal(read_state, [tmp_path / "a.pth"])
    assert "only dense tensors" in said or "damaged" in said


@pytest.fixture
def model(tiny_models, tmp_path, monkeypatch):
    """A copy of ``tiny-var`` to damage: its folder and its weights."""
    folder = tmp_path / "models" / "tiny-var"
    folder.mkdir(parents=True)
    card = json.loads((tiny_models / "tiny-var" / "card.json").read_text())
    card["weights_sha256"] = ""
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{folder.parent}:{tiny_models}")
    return folder, load_file(tiny_models / "tiny-var" / "model.safetensors")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("quant", ["none", "int8"])
def test_weights_that_are_not_finite_are_refused(model, number, quant):
    folder, state = model
    key = next(key for key in state if key.startswith("blocks") and state[key].ndim == 2)
    state[key] = state[key].float()
    state[key][0, 1] = number
    save_file(state, folder / "model.safetensors")
    if quant != "none":
        pytest.importorskip("bitsandbytes")
    said = refusal(lambda: load_module(get_card("tiny-var"), quant=quant))
    assert key in said and "not finite" in said


def test_weights_too_large_for_their_type_say_which_does(model):
    folder, state = model
    key = next(iter(state))
    state[key] = state[key].float() + 1e6
    save_file(state, folder / "model.safetensors")
    assert load_module(get_card("tiny-var")) is not None
    said = refusal(lambda: load_module(get_card("tiny-var"), dtype=torch.float16))
    assert "too large for float16: try float32" in said


# --- sums -----------------------------------------------------------------------------------------


def header(data: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(data)) + data + body


def test_headers_are_bounded(tmp_path):
    path = tmp_path / "m.safetensors"
    with open(path, "wb") as file:  # a sparse file of 40 MB
        file.write(struct.pack("<Q", MAX_HEADER + 1))
        file.truncate(40 << 20)
    with bounded(4):
        assert "header" in refusal(read_state, [path])
    entries = {
        f"k{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(120_000)
    }
    path.write_bytes(header(json.dumps(entries).encode()))
    with bounded(64):
        assert "more than 100000 tensors" in refusal(read_state, [path])


def test_archives_are_bounded(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(300 << 20))
    assert path.stat().st_size < 1 << 20
    with bounded(4):
        assert "no archive as torch writes them" in refusal(read_state, [path])
    (tmp_path / "b.pth").write_bytes(b"PK\x03\x04" + bytes(100))
    assert "damaged" in refusal(read_state, [tmp_path / "b.pth"])


def test_every_part_of_an_archive_is_looked_at(tmp_path, monkeypatch):
    """Packed, one over the other, too large beside the numbers, or too many."""
    path, packed, doubled = (tmp_path / name for name in ("a.pth", "b.pth", "c.pth"))
    path.write_bytes(torch_file(STATE))
    assert set(read_state([path])) == set(STATE)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/0", random.Random(0).randbytes(100))
    with zipfile.ZipFile(doubled, "w") as archive:
        archive.writestr("a/data/0", bytes(4000))
        again = copy.copy(archive.filelist[0])
        again.filename = "a/data/1"
        archive.filelist.append(again)
    for refused in (packed, doubled):
        assert "no archive as torch writes them" in refusal(read_state, [refused])
    for name, most in (("MAX_PICKLED", 20), ("MAX_TENSORS", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(weight_files_module, name, most)
            assert "no archive as torch writes them" in refusal(read_state, [path])


def test_tensors_of_all_files_together_are_bounded(tmp_path, monkeypatch):
    files = [tmp_path / f"{n}.safetensors" for n in range(2)]
    for n, path in enumerate(files):
        save_file({f"{n}{key}": torch.ones(1) for key in "abc"}, path)
    assert len(read_state(files)) == 6
    monkeypatch.setattr(weight_files_module, "MAX_TENSORS", 5)
    assert len(read_state(files[:1])) == 3
    assert "more than 5 tensors" in refusal(read_state, files)


def test_indexes_are_bounded(tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {f"k{i}": f"f{i}.safetensors" for i in range(2000)}}))
    assert "names 2000 files" in refusal(indexed_names, path)
    path.write_text(" " * (MAX_INDEX_BYTES + 2))
    assert "damaged" in refusal(indexed_names, path)
    path.write_text("[" * 100_000)
    assert "damaged" in refusal(indexed_names, path)
    path.write_text('{"weight_map": {"a": "../b.safetensors"}}')
    assert "only safetensors files of the same folder" in refusal(indexed_names, path)


GOOD = save(STATE)
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "I64", "U8", "F99"]),
        "shape": st.lists(st.integers(-1, 2**40), max_size=4),
        "data_offsets": st.lists(st.integers(-1, 2**63), max_size=3),
    }
)


@examples()
@given(st.data())
def test_any_header_is_read_or_refused_in_one_line(tmp_path_factory, data):
    kind = data.draw(st.sampled_from(["noise", "damage", "entries"]))
    if kind == "noise":
        content = data.draw(st.binary(max_size=200))
    elif kind == "damage":
        content = bytearray(GOOD)
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        content = bytes(content[: data.draw(st.integers(0, len(content)))])
    else:
        named = data.draw(st.dictionaries(st.text(max_size=8), ENTRY, max_size=4))
        content = header(json.dumps(named).encode(), bytes(data.draw(st.integers(0, 64))))
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(content)
    with bounded(16):
        try:
            read_state([path])
        except VarSpacesError as error:
            assert "\n" not in str(error)


TORCH = torch_file(STATE)
OLD = torch_file(STATE, _use_new_zipfile_serialization=False)


@pytest.mark.filterwarnings("ignore:Detected pickle")
@examples()
@given(st.sampled_from([TORCH, OLD]), st.data())
def test_any_damaged_torch_file_is_read_or_refused_in_one_line(tmp_path_factory, whole, data):
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "fuzz.pth"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    with bounded(32):
        try:
            read_state([path])
        except VarSpacesError as error:
            assert "\n" not in str(error)


def test_what_is_read_fits_or_is_named(use_tiny_models):
    assert build(get_card("tiny-var")).state_dict()
