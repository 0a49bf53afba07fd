import json
import os
import shutil
import subprocess
import sys

import pytest

from var_spaces.errors import UnknownName, VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo import cards


@pytest.fixture
def folder(tiny_models, tmp_path, monkeypatch):
    """A models folder of its own, to damage."""
    shutil.copytree(tiny_models, tmp_path / "models")
    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def change(folder, **keys):
    path = folder / "tiny-var" / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def test_a_card_says_what_the_model_is(use_tiny_models):
    card = cards.get_card("tiny-var", "generator")
    assert (card.title, card.tokenizer, card.resolution) == ("Tiny VAR", "tiny-tokenizer", 16)
    assert card.schedule == ScaleSchedule.square((1, 2, 4))
    assert card.classes == ("red apple", "key", "banana") and card.styles == ("soft", "drawn")
    assert card.folder == use_tiny_models / "tiny-var"
    assert "kv-cache" in card.offers
    assert {"tiny-var", "tiny-tokenizer"} <= set(cards.cards())
    assert "tiny-tokenizer" not in cards.cards("generator")


def test_unknown_models_get_the_nearest_name(use_tiny_models):
    with pytest.raises(UnknownName, match="Did you mean 'tiny-var'"):
        cards.get_card("tiny-vra")
    with pytest.raises(VarSpacesError, match="'tiny-tokenizer' is a tokenizer, not a generator"):
        cards.get_card("tiny-tokenizer", "generator")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"family": "vae"}, "unknown family 'vae'"),
        ({"format": 2}, "format = 2"),
        ({"role": "tokenizer"}, "family 'var' is a generator"),
        ({"tokenizer": None}, "needs the id of its 'tokenizer'"),
        ({"classes": ["a"]}, "architecture.num_classes is 3"),
        ({"classes": ["a", "b", "b"]}, "2 different names"),
        ({"styles": []}, "architecture.num_styles is 2"),
        ({"architecture": {}}, "architecture.patch_nums"),
        ({"architecture": {"patch_nums": [0]}}, "architecture.patch_nums"),
        ({"architecture": {"patch_nums": ["x"]}}, "architecture.patch_nums"),
        ({"weights_sha256": "abc"}, "weights_sha256"),
        ({"id": "other"}, "differs from its folder's name"),
        ({"resolution": "64"}, "resolution"),
    ],
)
def test_a_bad_card_is_one_line_that_names_the_file(folder, keys, reason):
    change(folder, **keys)
    with pytest.raises(VarSpacesError) as error:
        cards.get_card("tiny-var")
    line = str(error.value)
    assert reason in line and "\n" not in line
    assert os.path.join("tiny-var", "card.json") in line
    assert cards.problems() == [line]
    assert "tiny-var" not in cards.cards() and "tiny-tokenizer" in cards.cards()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"id": 1e999}', "\x00", "[" * 100])
def test_a_card_that_is_no_json_object_is_refused(folder, text):
    (folder / "tiny-var" / "card.json").write_text(text)
    with pytest.raises(VarSpacesError, match=r"^Bad model card .*card\.json: "):
        cards.get_card("tiny-var")


def test_unknown_keys_of_a_card_are_ignored(folder):
    change(folder, later_key={"x": 1})
    assert cards.get_card("tiny-var").title == "Tiny VAR"


def test_earlier_folders_hide_later_ones(folder, tiny_models, monkeypatch):
    change(folder, title="Mine")
    both = os.pathsep.join([str(folder), "", str(tiny_models), "/no/such/folder"])
    monkeypatch.setenv("VAR_SPACES_MODELS", both)
    assert cards.get_card("tiny-var").title == "Mine"
    assert cards.cards()["tiny-var"].title == "Mine"


def test_half_written_folders_are_not_models(folder):
    shutil.copytree(folder / "tiny-var", folder / ".tiny-var.abc")
    (folder / "notes").mkdir()
    assert not cards.problems()


def test_listing_imports_no_torch(use_tiny_models):
    code = (
        "import sys; from var_spaces.zoo import cards; assert 'tiny-var' in cards.cards();"
        "from var_spaces import api; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
