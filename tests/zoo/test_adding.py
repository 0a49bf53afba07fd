"""Cards of others: added from a file or a repository, checked as a stranger's text, then used."""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
import torch
from safetensors.torch import save

from var_spaces import cli
from var_spaces.api import make_spec
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan
from var_spaces.tasks.run import run
from var_spaces.ui.api import services
from var_spaces.ui.form import fits
from var_spaces.zoo import cards, locate, places
from var_spaces.zoo.adding import add
from var_spaces.zoo.residency import Residency

REPOSITORY = "stranger/far-var"


@pytest.fixture
def written(tiny_models):
    """The card of ``tiny-var`` under another id, as a stranger writes it."""
    data = json.loads((tiny_models / "tiny-var" / "card.json").read_text("utf-8"))
    return {**data, "id": "far-var", "weights_sha256": ""}


@pytest.fixture
def mine(tiny_models, tmp_path, monkeypatch):
    """An empty folder for models of one's own; ``tiny-tokenizer`` is known."""
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path / 'mine'}:{tiny_models}")
    return tmp_path / "mine"


@pytest.fixture
def publish(hub, state):
    """Put a card and other files into the repository; weights are one file if not said."""

    def put(card, **files):
        text = card if isinstance(card, bytes) else json.dumps(card).encode()
        hub.files[REPOSITORY] = {"card.json": text, **(files or {"model.safetensors": save(state)})}

    return put


def pixels(zoo, model):
    events = run(plan(make_spec(model, class_="key")[0]), zoo, pictures={}, device="cpu")
    return list(events)[-1].images[0].tobytes()


def test_a_repository_is_added_by_its_card_alone_and_used_everywhere(
    hub, publish, written, mine, capsys
):
    publish(written)
    assert cli.main(["add", REPOSITORY]) == 0
    said = capsys.readouterr().out
    assert "far-var: Tiny VAR; weights in stranger/far-var (0.00 GB)" in said
    assert hub.transfers("card.json") == 1 and not hub.transfers("model.safetensors")
    assert cli.main(["models"]) == 0 and "far-var" in capsys.readouterr().out
    assert "far-var" in fits.models("generate")
    assert "far-var" in [card["id"] for card in services.list_models()]
    out = mine.parent / "far.png"
    command = ["generate", "--model", "far-var", "--class", "key", "--out", str(out)]
    assert cli.main(command) == 0 and out.is_file()
    assert hub.transfers("model.safetensors") == 1
    zoo = Residency()
    assert pixels(zoo, "far-var") == pixels(zoo, "tiny-var")
    assert hub.transfers("model.safetensors") == 1


def test_what_was_added_stays_as_it_was(hub, publish, written, mine):
    publish({**written, "featured": True, "added": "by itself"})
    card = add(REPOSITORY)
    assert card.added == f"{REPOSITORY}@{card.source.revision}" and not card.featured
    assert len(card.source.revision) == 40  # the commit, not the branch
    assert add(f"{REPOSITORY}@v2").source == card.source
    assert [path.name for path in mine.iterdir()] == ["far-var"]


def test_shards_and_weights_elsewhere(hub, publish, written, mine, state):
    names = sorted(state)
    halves = [save({k: state[k] for k in part}) for part in (names[::2], names[1::2])]
    places = {name: f"model-{i % 2 + 1}.safetensors" for i, name in enumerate(names)}
    index = json.dumps({"weight_map": places}).encode()
    shards = {f"model-{i + 1}.safetensors": half for i, half in enumerate(halves)}
    publish(written, **{"model.safetensors.index.json": index}, **shards)
    card = add(REPOSITORY)
    assert card.source.files[0] == "model.safetensors.index.json" and len(card.source.files) == 3
    Residency().model("far-var", "cpu")
    source = {"repository": "someone/tiny", "files": ["var_tiny.pth"]}
    text = json.dumps({**written, "id": "else-var", "source": source}).encode()
    hub.files["stranger/else"] = {"card.json": text}
    assert add("stranger/else").source.repository == "someone/tiny"
    loaded = Residency().model("else-var", "cpu").backbone.state_dict()
    assert all(torch.equal(loaded[key], value.float()) for key, value in state.items())


def test_a_tokenizer_that_is_not_here_comes_with_its_model(
    hub, publish, written, mine, tiny_models, monkeypatch
):
    """Whoever adds a model wants its tokenizer, too."""
    data = json.loads((tiny_models / "tiny-tokenizer" / "card.json").read_text("utf-8"))
    weights = (tiny_models / "tiny-tokenizer" / "model.safetensors").read_bytes()
    hub.files["other/tokens"] = {"t.safetensors": weights}
    source = {"repository": "other/tokens", "files": ["t.safetensors"]}
    far = mine.parent / "known" / "far-tokenizer" / "card.json"
    far.parent.mkdir(parents=True)
    far.write_text(json.dumps({**data, "id": "far-tokenizer", "source": source}), "utf-8")
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{mine}:{far.parent.parent}")
    assert not locate.may_download(cards.get_card("far-tokenizer"))
    publish({**written, "tokenizer": "far-tokenizer"})
    add(REPOSITORY)
    Residency().model("far-var", "cpu")
    assert hub.transfers("t.safetensors") == 1


def change(data, **keys):
    return {**data, **keys}


def architecture(data, **keys):
    return {**data, "architecture": {**data["architecture"], **keys}}


SOURCE = {"repository": "a/b", "files": ["model.bin"]}
REFUSED = {
    "no JSON": (lambda d: b"{", "JSON"),
    "a list": (lambda d: [d], "must be a JSON object"),
    "deep": (lambda d: change(d, metrics=json.loads("[" * 20 + "]" * 20)), "nested deeper"),
    "large": (lambda d: change(d, licence="x" * 1_100_000), "larger than"),
    "unknown field": (lambda d: change(d, tokeniser="x"), "Did you mean 'tokenizer'?"),
    "folder": (lambda d: change(d, folder="/etc"), "unknown field 'folder'"),
    "path as id": (lambda d: change(d, id="../far-var"), "id = "),
    "hidden id": (lambda d: change(d, id=".far-var"), "id = "),
    "taken id": (lambda d: change(d, id="tiny-var"), "There is a model 'tiny-var' already"),
    "published id": (lambda d: change(d, id="var-d16"), "There is a model 'var-d16' already"),
    "family": (lambda d: change(d, family="vra"), "Did you mean 'var'?"),
    "tokenizer": (lambda d: change(d, tokenizer="tiny-tokenizr"), "Did you mean 'tiny-tokenizer'?"),
    "layout": (lambda d: architecture(d, dept=3), "Did you mean 'depth'?"),
    "many blocks": (lambda d: architecture(d, depth=10**9), "architecture.depth is 1000000000"),
    "wide": (lambda d: architecture(d, width=10**12), "architecture.width is"),
    "long": (lambda d: architecture(d, mlp_ratio=[1] * 100), "mlp_ratio has 100 entries"),
    "heads": (lambda d: architecture(d, heads=3), "not a multiple of heads"),
    "pickle": (
        lambda d: change(d, source={**SOURCE, "files": ["x.pkl"]}),
        "weights are files of .safetensors, .pth, .pt, .ckpt, .bin, .pth.tar",
    ),
    "outside": (
        lambda d: change(d, source={**SOURCE, "files": ["../../x.safetensors"]}),
        "must be a path in a repository",
    ),
    "script": (lambda d: change(d, paper="javascript:alert(1)"), "must be an https link"),
    "method": (lambda d: change(d, defaults={"cache": {"name": "ful"}}), "Did you mean 'full'?"),
    "task": (lambda d: change(d, defaults={"task": "drawing"}), "drawing"),
    "no task": (lambda d: change(d, defaults={"task": {"restore": 1}}), "Unknown task None"),
    "input": (
        lambda d: change(d, defaults={"task": {"name": "instruct", "restore": 2}}),
        "restore = 2 is out of range: allowed is 0 to 1",
    ),
    "no input": (
        lambda d: change(d, defaults={"task": {"name": "instruct", "restroe": 1}}),
        "Did you mean 'restore'?",
    ),
    "kind": (lambda d: change(d, defaults={"cach": {}}), "Did you mean 'cache'?"),
    "encoder": (lambda d: change(d, text_encoder={"name": "minilm"}), "must not have"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_card_is_one_line_and_leaves_nothing(hub, publish, written, mine, capsys, case):
    make, reason = REFUSED[case]
    publish(make(written))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cli.main(["add", REPOSITORY]) == 2
    line = capsys.readouterr().err
    assert reason in line and line.count("\n") == 1 and len(line) < 600
    assert not mine.exists() or not list(mine.iterdir())
    assert not hub.transfers("model.safetensors")
    assert not (case == "large" and hub.transfers("card.json"))


def test_an_encoder_from_this_machine_is_refused(mine, tmp_path):
    from tests.infinity import write_models

    folder = write_models(tmp_path / "given") / "tiny-t2i"
    data = json.loads((folder / "card.json").read_text("utf-8"))
    for model in ("/etc", "../x", "~/t5"):
        encoder = {"name": "flan-t5", "model": model}
        (folder / "card.json").write_text(json.dumps({**data, "text_encoder": encoder}), "utf-8")
        with pytest.raises(VarSpacesError, match="must be owner/name"):
            add(str(folder))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("gone", "does not exist or is private"),
        ("gated", "is gated: accept its terms"),
        ("limited", "asks to wait"),
        ("no card", "has no card.json"),
        ("no weights", "has no model.safetensors"),
        ("offline", "HF_HUB_OFFLINE"),
        ("nonsense", "No card at"),
    ],
)
def test_repositories_that_cannot_be_read(
    hub, publish, written, mine, capsys, monkeypatch, fault, reason
):
    publish(written)
    match fault:
        case "gone":
            hub.files.pop(REPOSITORY)
        case "gated" | "limited":
            getattr(hub, fault).add(REPOSITORY)
        case "no card":
            hub.files[REPOSITORY].pop("card.json")
        case "no weights":
            publish(written, readme=b"")
        case "offline":
            monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert cli.main(["add", "no/such/thing" if fault == "nonsense" else REPOSITORY]) == 2
    line = capsys.readouterr().err
    assert reason in line and line.count("\n") == 1
    assert not mine.exists()


def test_terms_still_hold(hub, publish, written, mine, capsys):
    publish({**written, "terms": {"url": "https://example.org", "summary": "research only"}})
    assert cli.main(["add", REPOSITORY]) == 0
    assert "download far-var --accept" in capsys.readouterr().out
    with pytest.raises(VarSpacesError, match="has terms to accept: research only"):
        Residency().model("far-var", "cpu")
    assert not hub.transfers("model.safetensors")


def test_a_folder_with_its_weights(tiny_models, mine, tmp_path, capsys):
    given = tmp_path / "given"
    shutil.copytree(tiny_models / "tiny-var", given)
    data = json.loads((given / "card.json").read_text("utf-8"))
    (given / "card.json").write_text(json.dumps({**data, "id": "near-var"}), "utf-8")
    assert cli.main(["add", str(given / "card.json")]) == 0
    assert "near-var: Tiny VAR; weights beside its card" in capsys.readouterr().out
    assert (mine / "near-var" / "model.safetensors").samefile(given / "model.safetensors")
    zoo = Residency()
    assert pixels(zoo, "near-var") == pixels(zoo, "tiny-var")
    add(str(given))  # again
    wider = {**data, "id": "wide-var", "architecture": {**data["architecture"], "width": 64}}
    (given / "card.json").write_text(json.dumps(wider), "utf-8")
    assert cli.main(["add", str(given)]) == 2
    assert "do not fit the architecture" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["near-var"]


def test_without_a_folder_of_models(written, tmp_path, monkeypatch):
    """There is one in the home; an installation may also have none."""
    monkeypatch.setattr(places, "USER", tmp_path / "home")
    monkeypatch.delenv("VAR_SPACES_MODELS")
    assert places.user_folder() == tmp_path / "home" and tmp_path / "home" in places.folders()
    monkeypatch.setenv("VAR_SPACES_MODELS", "")
    with pytest.raises(VarSpacesError, match="no folder of own models"):
        places.user_folder()
