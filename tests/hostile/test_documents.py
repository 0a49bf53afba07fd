"""Specs, links, PNG text and cards by strangers: any text is read or refused in one line."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.hostile.fuzz import bounded, examples
from var_spaces import codecs
from var_spaces.cli import main
from var_spaces.cli.table import table
from var_spaces.codecs import PNG_SIGNATURE
from var_spaces.errors import VarSpacesError, did_you_mean, printable
from var_spaces.paths import expanded
from var_spaces.spec import RunSpec, save_png
from var_spaces.zoo import adding, cards
from var_spaces.zoo.source import Source

ROOT = Path(__file__).parents[2]
SPEC = RunSpec(model="var-small", inputs={"class": "red apple"}, seed=7)
PNG = save_png(np.zeros((4, 4, 3), np.uint8), SPEC)


def one_line(call, *arguments):
    """The result of a call, or its refusal."""
    try:
        return call(*arguments)
    except VarSpacesError as error:
        assert str(error).isprintable() and len(str(error)) < 700
        return str(error)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- PNG ------------------------------------------------------------------------------------------

BOMB = chunk(b"zTXt", b"var-spaces\0\0" + zlib.compress(b" " * 60_000, 9))


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        (BOMB * 8000, "two run specs"),
        (chunk(b"tEXt", b"") * 1_000_000, "too many chunks"),
        (chunk(b"zTXt", b"other\0\0" + zlib.compress(bytes(60_000))) * 8000, ""),
    ],
    ids=["8,000 that are ours", "a million empty ones", "8,000 of others"],
)
def test_sums_of_chunks_are_bounded(chunks, reason):
    """Each chunk is small; 480 MB when all are unpacked."""
    png = PNG[:33] + chunks + (PNG[33:] if not reason else PNG[-12:])
    with bounded(2):
        said = one_line(RunSpec.read_png, png)
    assert said == SPEC if not reason else reason in said


@examples()
@given(st.data())
def test_any_chunks_are_read_or_refused(data):
    kinds = st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"IDAT", b"gAMA", b"1234"])
    words = st.sampled_from(
        [b"var-spaces\0", b"var-spaces", b"var-spaces\0\0", b"var-spaces\0\1\0"]
    )
    text = st.binary(max_size=60) | st.just(SPEC.to_json().encode())
    packed = st.builds(lambda t: zlib.compress(t), text) | text
    pieces = data.draw(st.lists(st.tuples(kinds, words, packed), max_size=5))
    made = b"".join(chunk(kind, word + body) for kind, word, body in pieces)
    png = bytearray(PNG_SIGNATURE + PNG[8:33] + made + chunk(b"IEND", b""))
    for _ in range(data.draw(st.integers(0, 3))):
        png[data.draw(st.integers(0, len(png) - 1))] = data.draw(st.integers(0, 255))
    with bounded(4):
        one_line(RunSpec.read_png, bytes(png))
        one_line(codecs.write_png_text, bytes(png), "text")
        one_line(codecs.without_text, bytes(png))


# --- specs ----------------------------------------------------------------------------------------

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=6), v, max_size=4)
)
KEYS = st.sampled_from([*RunSpec.model_fields, "unknown"])


@examples()
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_spec_is_read_or_refused(data):
    with bounded(8):
        found = one_line(RunSpec.from_json, json.dumps(data))
    if isinstance(found, RunSpec):
        assert RunSpec.from_json(found.to_json()) == found


@given(st.text(alphabet='"\\[]{}a ', max_size=40))
def test_depth_is_that_of_brackets_outside_of_text(text):
    assert codecs._depth(text) == _depth_by_hand(text)


def _depth_by_hand(text: str) -> int:
    depth = deepest = 0
    inside = escaped = False
    for char in text:
        if inside:
            inside = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            inside = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def test_other_pictures_are_called_what_they_are(tmp_path):
    from PIL import Image

    for kind in ("JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        path = tmp_path / f"a.{kind.lower()}"
        Image.new("RGB", (8, 8)).save(path)
        said = one_line(RunSpec.from_file, path)
        assert kind.lower() in said.partition(" file, which carries no run spec")[0].lower(), said
    path.rename(tmp_path / "a.png")
    assert "an AVIF or HEIC file" in one_line(RunSpec.from_file, tmp_path / "a.png")


# --- cards ----------------------------------------------------------------------------------------

CARD = json.loads((ROOT / "assets" / "models" / "var-small" / "card.json").read_text("utf-8"))


@examples()
@given(st.dictionaries(st.sampled_from([*CARD, "source", "terms", "base", "adapter"]), VALUES))
@example({"adapter": {"": None}})
def test_any_card_is_read_or_refused(changes):
    changes = {key: value for key, value in changes.items() if key != "metrics"}
    with bounded(32):
        one_line(adding.checked, json.dumps({**CARD, **changes}).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "two\nlines"),
        ("title", "\x1b[2J\x1b]0;owned\x07"),
        ("title", "turned \u202egnp.exe"),
        ("licence", "bell\x07"),
        ("paper", "https://a.b/\x1b"),
        ("styles", ["soft", "line\u2028end"]),
        ("styles", ["soft", "\x9b31m"]),
    ],
)
def test_words_of_a_card_move_no_cursor(field, value):
    with pytest.raises(VarSpacesError, match="control characters") as error:
        cards.Card(**{**CARD, field: value})
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "repository",
    ["../b", "a/..", "./b", "a/.b", "a", "a/b/c", "a/b\n", "a/b c", "é/b", "a" * 97 + "/b", "-/.."],
)
def test_a_repository_leads_nowhere_else(repository):
    with pytest.raises(VarSpacesError, match=r"repository = .* must be owner/name"):
        Source(repository=repository, files=["a"])
    assert "No card at" in one_line(adding.add, repository) or repository in ("./b", "a/.b")


@pytest.mark.parametrize("revision", ["../a", "a/../../b", "a\nb", ""])
def test_a_revision_leads_nowhere_else(revision):
    with pytest.raises(VarSpacesError, match="revision"):
        Source(repository="a/b", files=["a"], revision=revision)


@pytest.mark.parametrize(
    "name", ["../a.bin", "/a.bin", "a//b.bin", "a\\b.bin", "a\x1b.bin", "a" * 300]
)
def test_a_file_stays_in_its_repository(name):
    with pytest.raises(VarSpacesError):
        Source(repository="a/b", files=[name])


def test_add_checks_the_digest_of_what_lies_beside_a_card(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path / 'own'}:{tiny_models}")
    folder = tmp_path / "given"
    folder.mkdir()
    card = json.loads((tiny_models / "tiny-var" / "card.json").read_text())
    weights = (tiny_models / "tiny-var" / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights)
    for digest, accepted in (("0" * 64, False), ("", True), (card["weights_sha256"], True)):
        name = f"given-{digest[:4] or 'none'}"
        text = json.dumps({**card, "id": name, "weights_sha256": digest})
        (folder / "card.json").write_text(text)
        said = one_line(adding.add, str(folder))
        assert not isinstance(said, str) if accepted else "are not those that it names" in said
        assert (tmp_path / "own" / name).exists() == accepted
        if accepted:
            assert said.weights_sha256 == card["weights_sha256"]


# --- consoles -------------------------------------------------------------------------------------


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=clean, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_consoles_that_are_not_utf8(tmp_path, encoding):
    """Names of people and files need letters that such a console has not."""
    folder = tmp_path / "models" / "m"
    folder.mkdir(parents=True)
    card = {**CARD, "id": "m", "title": "Модель 画 é"}
    (folder / "card.json").write_text(json.dumps(card), "utf-8")
    options = {"PYTHONIOENCODING": encoding, "VAR_SPACES_MODELS": str(folder.parent)}
    for command in (["models"], ["methods", "cache"], ["generate", "--help"], ["models", "--json"]):
        done = python("-m", "var_spaces", *command, **options)
        assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr[-300:])
    done = python("-m", "var_spaces", "show", str(tmp_path / "画.png"), **options)
    assert done.returncode == 2 and done.stderr.startswith("error: Cannot read")


def test_nobody_without_a_home_can_list_models(tmp_path):
    code = (
        "import os, pwd\n"
        "def nobody(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = nobody\n"
        "from var_spaces.cli import main\n"
        "codes = [main(['models']), main(['add', 'a/b']), main(['add', '~/x'])]\n"
        "raise SystemExit(codes != [0, 2, 2])"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "var-small" in done.stdout and "Traceback" not in done.stderr
    assert "There is no home folder for '~/x'" in done.stderr


def test_a_home_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a" and expanded("b") == Path("b")


def test_what_is_printed_stays_on_its_line():
    assert printable("a\x1b[2J\nb\u202e\x07é画") == "a?[2J b??é画"
    assert table(("A",), [("x\ny",)]) == "A\nx y\n"


def test_an_odd_file_name_is_spelled_out(capsys):
    assert main(["show", "a\x1b[2Jb\nc.png"]) == 2
    said = capsys.readouterr().err
    assert "a?[2Jb c.png" in said and "\x1b" not in said and said.count("\n") == 1


# --- suggestions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("unicorn", "lion", False),
        ("castle", "cat", False),
        ("dragon", "dog", False),
        ("spaceship", "sheep", False),
        ("keys", "key", True),
        ("appel", "apple", True),
        ("scalkv", "scalekv", True),
        ("sede", "seed", True),
        ("cta", "cat", True),
        ("apple", "red apple", True),
        ("Sliding-Windw", "sliding-window", True),
    ],
)
def test_only_what_is_near_is_suggested(word, known, near):
    assert bool(did_you_mean(word, [known])) == near
