"""A visitor's models: kept as a whole or not at all, taken home, brought back, refused, deleted."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
import torch

from var_spaces import api, methods
from var_spaces.errors import VarSpacesError
from var_spaces.remote import turns
from var_spaces.training.styles.recombine import recombine
from var_spaces.ui.own import shelf
from var_spaces.ui.own.visitors import Visitors
from var_spaces.zoo import cards
from var_spaces.zoo.cards import get_card, read_card
from var_spaces.zoo.manifest import build
from var_spaces.zoo.places import personal
from var_spaces.zoo.writer import save_model

STYLE = {"name": "content-style", "content": "owl", "style": "glossy", "text_rows": 2, "rank": 2}


def teach(folder, seed=0, title="Owl in glossy"):
    def write(out):
        config = build(get_card("tiny-t2i")).config
        torch.manual_seed(seed)
        module = methods.parse("adapter", STYLE).build(config)
        module.start_from(torch.randn(2, config.text_dim), torch.randn(2, config.text_dim))
        card = {"format": 1, "id": out.name, "title": "Owl", "base": "tiny-t2i", "adapter": STYLE}
        save_model(out, card, module.state_dict(), dtype=None)

    return shelf.keep(folder, title, write)


def draw(folder, model, prompt="<content> in <style>"):
    with personal([folder]):
        (image,) = api.generate(model=model, prompt=prompt, seed=1)
    return image.tobytes()


def subject(folder, alpha):
    adapter = {"name": "subject", "word": "owl", "placeholder": "sks", "rank": 2, "alpha": alpha}

    def write(out):
        torch.manual_seed(0)
        module = methods.parse("adapter", adapter).build(build(get_card("tiny-t2i")).config)
        weights = {key: torch.randn(value.shape) for key, value in module.state_dict().items()}
        card = {"format": 1, "id": out.name, "title": "Owl", "base": "tiny-t2i", "adapter": adapter}
        save_model(out, card, weights, dtype=None)

    return shelf.keep(folder, "Owl", write)


def test_other_settings_of_the_same_weights_are_another_model(folder):
    """What an adapter does is not all in its weights: two visitors' models must stay apart."""
    strong, weak = subject(folder, 8.0), subject(folder, 0.01)
    assert strong != weak and subject(folder, 8.0) == strong
    assert draw(folder, strong, "a photo of <it>") != draw(folder, weak, "a photo of <it>")


def test_taken_home_and_brought_back_it_is_the_same(folder, tmp_path):
    name = teach(folder)
    assert name.startswith("my-owl-in-glossy-")
    before = draw(folder, name)
    packed = shelf.packed(folder, name)
    assert packed == shelf.packed(folder, name)
    (tmp_path / "a.zip").write_bytes(packed)
    shelf.remove(folder, name)
    assert shelf.models(folder) == {}
    with personal([folder]), pytest.raises(VarSpacesError, match="Unknown model"):
        get_card(name)
    assert shelf.bring_back(folder, tmp_path / "a.zip") == name
    assert draw(folder, name) == before
    assert [path.name for path in folder.iterdir()] == [name]
    zipfile.ZipFile(tmp_path / "a.zip").extractall(tmp_path / "models")  # a folder like any other
    assert read_card(tmp_path / "models" / name / "card.json").id == name


def changed(packed, packing=zipfile.ZIP_STORED, **files):
    """A zip with some of its files changed or added; None leaves one out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(buffer, "w", packing) as new:
        found = {info.filename.split("/")[-1]: old.read(info) for info in old.infolist()}
        for name, content in {**found, **files}.items():
            if content is not None:
                new.writestr(f"x/{name}", content)
    return buffer.getvalue()


def spoiled(packed):
    """Packed, with other bytes in the middle of what is packed."""
    tight = bytearray(changed(packed, zipfile.ZIP_DEFLATED))
    middle = len(tight) // 2
    tight[middle : middle + 64] = b"\xff" * 64
    return bytes(tight)


def card_of(packed, **changes):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("card.json")]
        return json.dumps({**json.loads(archive.read(name)), **changes}).encode()


BAD = {
    "no zip": (lambda p: b"\x80\x04picture", "no model that was saved here"),
    "spoiled": (spoiled, "no model that was saved here"),
    "packed in a way of its own": (
        lambda p: changed(p, zipfile.ZIP_LZMA),
        "no model that was saved here",
    ),
    "cut": (lambda p: p[:-30], "no model that was saved here"),
    "no card": (lambda p: changed(p, **{"card.json": None}), "it needs a card.json"),
    "no weights": (lambda p: changed(p, **{"model.safetensors": None}), "holds no model"),
    "pickle": (
        lambda p: changed(p, **{"model.safetensors": b"\x80\x04\x95" + bytes(64)}),
        "not those that the card names",
    ),
    "other weights": (
        lambda p: changed(p, **{"card.json": card_of(p, weights_sha256="0" * 64)}),
        "not those that the card names",
    ),
    "other layout": (
        lambda p: changed(p, **{"card.json": card_of(p, adapter={**STYLE, "text_rows": 3})}),
        "content",
    ),
    "no adapter": (
        lambda p: changed(p, **{"card.json": card_of(p, base="tiny-var")}),
        "does not fit 'tiny-var'",
    ),
    "unknown base": (
        lambda p: changed(p, **{"card.json": card_of(p, base="none")}),
        "Its base 'none' is not known",
    ),
    "another kind": (
        lambda p: changed(p, **{"card.json": card_of(p, adapter={"name": "echo"})}),
        "no subject or style",
    ),
    "weights elsewhere": (
        lambda p: changed(
            p,
            **{"card.json": card_of(p, source={"repository": "a/b", "files": ["m.safetensors"]})},
        ),
        "no subject or style",
    ),
    "too many files": (lambda p: changed(p, **{f"{n}.txt": b"" for n in range(9)}), "more than"),
    "a bomb": (lambda p: changed(p, **{"model.safetensors": bytes(21 << 20)}), "more than"),
}


@pytest.mark.parametrize("kind", BAD)
def test_strangers_files_are_refused_and_nothing_is_kept(folder, tmp_path, kind):
    spoil, match = BAD[kind]
    name = teach(folder)
    (tmp_path / "bad.zip").write_bytes(spoil(shelf.packed(folder, name)))
    shelf.remove(folder, name)
    with pytest.raises(VarSpacesError, match=match) as refused:
        shelf.bring_back(folder, tmp_path / "bad.zip")
    assert "\n" not in str(refused.value)
    assert list(folder.iterdir()) == []


def test_numbers_that_are_none_are_refused(folder, tmp_path, monkeypatch):
    name = teach(folder)
    path = folder / name / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\xc0\x7f")  # a NaN
    text = json.loads((folder / name / "card.json").read_text())
    text["weights_sha256"] = shelf.weights_digest([path])
    (folder / name / "card.json").write_text(json.dumps(text))
    (tmp_path / "nan.zip").write_bytes(shelf.packed(folder, name))
    with pytest.raises(VarSpacesError, match="not finite"):
        shelf.bring_back(folder, tmp_path / "nan.zip")


def test_a_visitor_has_so_many_and_all_together_so_much(folder, monkeypatch):
    monkeypatch.setattr(shelf, "MOST", 1)
    shelf.check_room(folder)
    teach(folder)
    with pytest.raises(VarSpacesError, match="delete one first"):
        shelf.check_room(folder)
    monkeypatch.setattr(shelf, "MOST", 8)
    monkeypatch.setattr(shelf, "MIB", 1)
    with pytest.raises(VarSpacesError, match="no room"):
        shelf.check_room(folder)


def test_killed_while_it_is_written_nothing_is_there(folder):
    code = (
        "import os, sys; from pathlib import Path\n"
        "from var_spaces.ui.own import shelf\n"
        "def write(out):\n"
        "    out.mkdir(); (out / 'card.json').write_text('{')\n"
        "    (out / 'model.safetensors').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), 9)\n"
        "shelf.keep(Path(sys.argv[1]), 'dog', write)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert done.returncode == -9
    assert shelf.models(folder) == {}
    with personal([folder]):
        assert cards.problems() == []
    assert list(shelf.models(folder)) == [] and teach(folder) in shelf.models(folder)


def test_where_an_engine_draws_own_models_take_turns_here(folder, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_ENGINE", "ray://127.0.0.1:1")  # which nobody asks for them
    monkeypatch.setattr(turns, "PATIENCE", 0.01)
    name = teach(folder)
    with personal([folder]):
        spec, _ = api.make_spec(name, prompt="a dog")
        with closing(api.stream(spec)) as first:
            next(first)
            with pytest.raises(VarSpacesError, match="one run at a time"):
                next(api.stream(spec))
        with closing(api.stream(spec)) as second:
            assert type(next(second)).__name__ == "Started"


def test_content_of_one_and_style_of_another(folder):
    one, two = teach(folder, 1), teach(folder, 2)
    known = shelf.models(folder)
    pair = shelf.keep(folder, "pair", lambda out: recombine(known[one], known[two], out))
    assert draw(folder, pair, "a car in <style>") == draw(folder, two, "a car in <style>")
    assert draw(folder, pair, "<content>") == draw(folder, one, "<content>")
    assert draw(folder, pair) not in (draw(folder, one), draw(folder, two))


def test_nobody_else_knows_them_and_a_reload_finds_them_again():
    now = [0.0]
    visitors = Visitors(lambda: now[0])
    one = visitors.open("session-1")
    assert visitors.known("session-2") is None and visitors.known(None) is None
    assert visitors.claim("session-2", "wrong") is None
    assert visitors.claim("session-3", one.key) is one is visitors.known("session-3")
    assert visitors.open("session-2").folder != one.folder
    now[0] = 7 * 3600
    visitors.known("session-2")
    visitors.open("session-4")
    assert visitors.known("session-1") is None and not one.folder.exists()
    assert visitors.of_key(one.key) is None


def test_who_waits_for_a_training_is_not_away(monkeypatch):
    """A training may take a day, and its visitor does nothing meanwhile."""
    monkeypatch.setattr("var_spaces.ui.own.visitors.MOST", 1)
    now = [0.0]
    visitors = Visitors(lambda: now[0])
    one = visitors.open("one")
    with shelf.filling(one.folder, "run"):
        now[0] = 20 * 3600.0
        visitors.open("two")
        visitors.open("three")
        assert one.folder.exists() and visitors.of_key(one.key) is one
    now[0] += 5 * 3600.0  # and has as long as all others to come back for the result
    monkeypatch.setattr("var_spaces.ui.own.visitors.MOST", 9)
    visitors.open("four")
    assert visitors.known("one") is one
    now[0] += 7 * 3600.0
    visitors.open("five")
    assert visitors.of_key(one.key) is None and not one.folder.exists()


def test_a_visitor_who_invents_pages_takes_no_memory():
    visitors = Visitors(lambda: 0.0)
    one = visitors.open("first")
    for number in range(500):
        visitors.claim(f"page-{number}", one.key)
        visitors.claim("page-0", one.key)
    assert len(visitors._by_session) == len(one.pages) == len(set(one.pages)) <= 32
    other = visitors.open("second")
    assert visitors.claim("page-0", other.key) is other is visitors.known("page-0")
    assert "page-0" not in one.pages


def test_visitors_without_models_push_nobody_out(monkeypatch):
    monkeypatch.setattr("var_spaces.ui.own.visitors.MOST", 5)
    now = [0.0]
    visitors = Visitors(lambda: now[0])
    one = visitors.open("one")
    (one.folder / "my-model").mkdir()
    for number in range(20):
        now[0] += 1.0
        visitors.open(f"empty-{number}")
    assert visitors.known("one") is one and len(visitors._by_key) <= 6


def test_several_that_come_at_once_are_counted_one_by_one(folder, tmp_path, monkeypatch):
    name = teach(folder)
    (tmp_path / "a.zip").write_bytes(shelf.packed(folder, name))
    shelf.remove(folder, name)
    monkeypatch.setattr(shelf, "MOST", 1)
    let_in, real = Barrier(3), shelf._checked

    def checked(text, files):
        let_in.wait(60)
        return real(text, files)

    monkeypatch.setattr(shelf, "_checked", checked)

    def bring(_):
        try:
            return shelf.bring_back(folder, tmp_path / "a.zip")
        except VarSpacesError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        said = sorted(pool.map(bring, range(3)))
    assert said[2] == name and all("delete one first" in line for line in said[:2])
    assert list(shelf.models(folder)) == [name]


def test_what_goes_while_somebody_looks_is_passed_over(folder, monkeypatch):
    name, gone = teach(folder, 1), teach(folder, 2)
    real = shelf.read_card

    def read(path):
        if path.parent.name == gone:
            shutil.rmtree(path.parent)  # another thread takes it off the shelf
        return real(path)

    monkeypatch.setattr(shelf, "read_card", read)
    assert list(shelf.models(folder)) == [name]
    shelf.check_room(folder)


def test_an_owner_who_offers_some_models_offers_what_is_taught_on_them(folder, monkeypatch):
    name = teach(folder)
    monkeypatch.setenv("VAR_SPACES_OFFER", "tiny-t2i")
    with personal([folder]):
        assert name in cards.cards("generator") and get_card(name).base == "tiny-t2i"
    assert name not in cards.cards("generator")
    monkeypatch.setenv("VAR_SPACES_OFFER", "tiny-var")
    with personal([folder]), pytest.raises(VarSpacesError, match="not offered"):
        get_card(name)
