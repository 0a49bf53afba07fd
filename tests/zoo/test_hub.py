"""Downloads from a stand-in of the Hub: each ends in a model, or in one line and a clean cache."""

from __future__ import annotations

import json

import pytest
import torch

from tests.zoo.conftest import REPOSITORY
from var_spaces import cli
from var_spaces.errors import VarSpacesError
from var_spaces.zoo import cards
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.locate import download, files_of
from var_spaces.zoo.residency import Residency


@pytest.fixture
def card(tiny_models, use_tiny_models, tmp_path, monkeypatch):
    """Write the card ``far-var``, whose weights are on the stand-in, and return it."""
    written = json.loads((tiny_models / "tiny-var" / "card.json").read_text("utf-8"))

    def write(files, repository=REPOSITORY, **more):
        source = {"repository": repository, "files": files, "bytes": 1000, **more.pop("source", {})}
        data = {**written, "id": "far-var", "weights_sha256": "", "source": source, **more}
        (tmp_path / "far" / "far-var").mkdir(parents=True, exist_ok=True)
        path = tmp_path / "far" / "far-var" / "card.json"
        path.write_text(json.dumps(data), "utf-8")
        monkeypatch.setenv("VAR_SPACES_MODELS", f"{tiny_models}:{tmp_path / 'far'}")
        return cards.read_card(path)

    return write


SHARDS = [
    "sharded/model.safetensors.index.json",
    "sharded/model-1.safetensors",
    "sharded/model-2.safetensors",
]


@pytest.mark.parametrize("files", [["var_tiny.pth"], ["last.pth"], SHARDS])
def test_published_layouts(hub, card, state, files):
    far = card(files)
    assert far.id not in cards.cards()
    download(far)
    assert far.id in cards.cards()
    loaded = load_module(far).state_dict()
    assert all(torch.equal(loaded[key], value.float()) for key, value in state.items())


def test_an_ema_entry(hub, card, state):
    far = card(["last.pth"], entry=["trainer", "ema"])
    download(far)
    assert torch.equal(load_module(far).state_dict()["head.bias"], state["head.bias"].float())
    with pytest.raises(VarSpacesError, match="has no entry trainer / other"):
        load_module(card(["last.pth"], entry=["trainer", "other"]))


def test_nothing_is_downloaded_unasked(hub, card):
    far = card(["var_tiny.pth"])
    with pytest.raises(VarSpacesError, match="python -m var_spaces download far-var"):
        files_of(far)
    assert not hub.requests


def test_a_card_of_many_checkpoints_says_how_to_choose(hub, card):
    far = card([])
    for get in (files_of, download):
        with pytest.raises(VarSpacesError, match="convert far-var --from someone/tiny:FILE --out"):
            get(far)
    assert not hub.requests and far.id not in cards.cards()


def test_an_offered_model_is_downloaded_once_when_needed(hub, card, monkeypatch):
    far = card(["var_tiny.pth"])
    monkeypatch.setenv("VAR_SPACES_OFFER", "far-*")
    assert far.id in cards.cards()
    for _ in range(2):
        assert Residency().model("far-var").card.id == "far-var"
    assert hub.transfers("var_tiny.pth") == 1
    with pytest.raises(VarSpacesError, match="not offered here: choose one of far-var"):
        cards.get_card("tiny-var")
    assert "tiny-tokenizer" in cards.cards()


def test_offline_works_from_the_cache_and_says_so_otherwise(hub, card, monkeypatch):
    far = card(["var_tiny.pth"])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(VarSpacesError, match="HF_HUB_OFFLINE is set"):
        download(far)
    assert not hub.requests
    monkeypatch.delenv("HF_HUB_OFFLINE")
    download(far)
    asked = len(hub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    load_module(far)
    assert len(hub.requests) == asked


def test_an_interrupted_download_goes_on(hub, card):
    hub.cut.add("var_tiny.pth")
    far = card(["var_tiny.pth"])
    try:
        download(far)
    except VarSpacesError as error:
        assert "it goes on where it stopped" in str(error)
        download(far)
    load_module(far)


def test_a_wrong_hash_leaves_a_clean_cache(hub, card):
    hub.wrong.add("var_tiny.pth")
    far = card(["var_tiny.pth"])
    with pytest.raises(VarSpacesError, match=r"arrived damaged or was changed \(SHA-256 differs\)"):
        download(far)
    with pytest.raises(VarSpacesError, match="not on this machine"):
        files_of(far)
    hub.wrong.clear()
    download(far)
    load_module(far)


def test_the_card_may_name_digests(hub, card):
    far = card(["var_tiny.pth"], source={"sha256": {"var_tiny.pth": "0" * 64}})
    with pytest.raises(VarSpacesError, match="SHA-256 differs"):
        download(far)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("gated", "is gated: accept its terms"),
        ("limited", "asks to wait"),
        ("gone", "does not exist or is private"),
        ("file", "has no file 'other.pth' at revision 'main'"),
        ("down", "try again, it goes on where it stopped"),
    ],
)
def test_refusals_are_one_line(hub, card, monkeypatch, fault, reason):
    far = card(["other.pth" if fault == "file" else "var_tiny.pth"])
    if fault in ("gated", "limited"):
        getattr(hub, fault).add(REPOSITORY)
    elif fault == "gone":
        hub.files.clear()
    elif fault == "down":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(VarSpacesError) as error:
        download(far)
    line = str(error.value)
    assert reason in line and "\n" not in line and len(line) < 400
    assert far.id not in cards.cards()


def test_terms_are_accepted_first(hub, card, monkeypatch, capsys):
    terms = {"url": "https://example.org/licence", "summary": "research only"}
    far = card(["var_tiny.pth"], terms=terms)
    assert cli.main(["download", "far-var"]) == 2
    line = capsys.readouterr().err
    assert "research only (https://example.org/licence)" in line and line.count("\n") == 1
    assert not hub.requests
    assert cli.main(["download", "far-var", "--accept"]) == 0
    assert "far-var: 1 file" in capsys.readouterr().out
    monkeypatch.setenv("VAR_SPACES_ACCEPT", "other, far-var")
    download(far)


@pytest.mark.parametrize(
    "source",
    [
        {"repository": "no-owner", "files": ["a.pth"]},
        {"repository": "a/b", "files": ["../a.pth"]},
        {"repository": "../b", "files": ["a.pth"]},
        {"repository": "a/..", "files": ["a.pth"]},
        {"repository": "a/b", "files": ["/a.pth"]},
        {"repository": "a/b", "files": ["C:/a.pth"]},
        {"repository": "a/b", "files": ["a\\b.pth"]},
        {"repository": "a/b", "files": ["./a.pth"]},
        {"repository": "a/b", "files": ["a.pth"], "sha256": {"a.pth": "x"}},
        {"repository": "a/b", "files": ["a.pth"], "colour": 1},
    ],
)
def test_a_bad_source_is_refused(card, source):
    with pytest.raises(VarSpacesError, match=r"^Bad model card .*source"):
        card(["a.pth"], source=source)
