import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file

from var_spaces.errors import VarSpacesError
from var_spaces.zoo import folders
from var_spaces.zoo.folders import weights_digest
from var_spaces.zoo.writer import save_model

CARD = {"format": 1, "id": "tiny"}


def weights(seed=0, n=5, size=1000):
    g = torch.Generator().manual_seed(seed)
    return {f"layer.{i}.weight": torch.randn(size, generator=g) for i in range(n)}


def read_all(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_one_shard_has_the_plain_name_and_halves_the_bytes(tmp_path):
    digest = save_model(tmp_path / "m", CARD, weights())
    files = read_all(tmp_path / "m")
    assert sorted(files) == ["card.json", "model.safetensors"]
    assert digest == hashlib.sha256(files["model.safetensors"]).hexdigest()
    assert json.loads(files["card.json"]) == {**CARD, "weights_sha256": digest}
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert all(t.dtype == torch.float16 for t in stored.values())


def test_shards_stay_below_the_limit_and_the_index_names_every_key(tmp_path):
    state = weights(n=12)
    save_model(tmp_path / "m", CARD, state, max_shard=7000)
    files = read_all(tmp_path / "m")
    shards = [name for name in files if name.endswith(".safetensors")]
    assert len(shards) > 2
    assert all(len(files[name]) <= 7000 for name in shards)
    index = json.loads(files["model.safetensors.index.json"])
    assert set(index["weight_map"]) == set(state)
    assert set(index["weight_map"].values()) == set(shards)
    card = json.loads(files["card.json"])
    joined = hashlib.sha256(b"".join(files[name] for name in sorted(shards))).hexdigest()
    assert card["weights_sha256"] == joined
    assert weights_digest([tmp_path / "m" / name for name in shards]) == joined


def test_same_weights_give_the_same_bytes(tmp_path):
    for name in "ab":
        save_model(tmp_path / name, CARD, weights(), max_shard=5000)
    assert read_all(tmp_path / "a") == read_all(tmp_path / "b")


def test_a_new_version_replaces_weights_and_keeps_other_files(tmp_path):
    save_model(tmp_path / "m", CARD, weights(), max_shard=5000)
    (tmp_path / "m" / "README.md").write_text("about")
    save_model(tmp_path / "m", CARD, weights(1))
    assert sorted(read_all(tmp_path / "m")) == ["README.md", "card.json", "model.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_refused_model_leaves_the_old_one_untouched(tmp_path):
    save_model(tmp_path / "m", CARD, weights())
    before = read_all(tmp_path / "m")
    for bad in (
        {"w": torch.tensor([1e9])},
        {"w": torch.tensor([float("nan")])},
        {"w": torch.zeros(10_000)},
        {},
    ):
        with pytest.raises(VarSpacesError) as error:
            save_model(tmp_path / "m", CARD, bad, max_shard=9000)
        assert "\n" not in str(error.value)
    assert read_all(tmp_path / "m") == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_dtype_none_keeps_types_and_views_are_stored_as_they_look(tmp_path):
    base = torch.arange(12.0).view(3, 4)
    save_model(tmp_path / "m", CARD, {"a": base.T, "b": base, "n": torch.arange(3)}, dtype=None)
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert torch.equal(stored["a"], base.T) and stored["a"].dtype == torch.float32
    assert torch.equal(stored["n"], torch.arange(3))


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path, monkeypatch, at_once):
    old, new = tmp_path / "model", tmp_path / "next"
    for folder in (old, new):
        folder.mkdir()
        (folder / folder.name).write_text("")
    if at_once and not folders._exchange(old, new):
        pytest.skip("this file system cannot exchange two names")
    if at_once:
        folders._exchange(old, new)
        monkeypatch.setattr(folders.os, "replace", None)  # never without a folder
    else:
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    folders.replace_folder(old, new)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in old.iterdir()] == ["next"]
