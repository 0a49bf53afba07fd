"""Own folders of images: every kind of file, the report, splits, cuts, and a model in the app."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from var_spaces import pictures
from var_spaces.errors import VarSpacesError
from var_spaces.training.__main__ import main
from var_spaces.training.images import folder as folder_data
from var_spaces.training.images import scan as folder_scan
from var_spaces.training.images.folder import FolderSource, prepare
from var_spaces.training.images.scan import ScanReport, scan

CPU = torch.device("cpu")
SIZE = 16
RECIPE = """
kind = "tokenizer"
id = "tok"
title = "Small tokenizer"
[model]
ch = 16
ch_mult = [1]
num_res_blocks = 1
stem_patch = 4
norm_groups = 8
z_channels = 4
vocab_size = 64
patch_nums = [1, 2, 4]
[recipe]
codebook = "vqbridge"
warmup_steps = 1
[codebook]
patch = 2
[train]
batch_size = 4
log_every = 1
"""


def picture(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def rgb(image: Image.Image) -> Image.Image:
    return pictures.over_white(pictures.normal(image))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve plain images of mixed sizes, some in a folder below."""
    place = tmp_path / "My Holiday Photos!"
    (place / "more").mkdir(parents=True)
    for seed in range(12):
        path = place / ("more" if seed % 3 == 0 else ".") / f"{seed}.png"
        picture(seed, 20 + 5 * seed, 30).save(path)
    return place


def reasons(folder: Path) -> dict[str, str]:
    report = ScanReport("x")
    list(scan(folder, report))
    return dict(report.refused)


# Files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F"])
def test_every_mode_becomes_the_right_colour(mode):
    image = Image.new("RGB", (20, 20), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 10, 20))
    pixels = np.asarray(rgb(image.convert(mode)))
    assert pixels.shape == (20, 20, 3)
    assert pixels[5, 2].max() < 5
    assert pixels[5, 17].min() > 250


def test_transparency_is_white_and_deep_greys_keep_their_range(tmp_path):
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert np.asarray(rgb(clear)).min() == 255
    palette = Image.new("P", (20, 20), 3)
    palette.info["transparency"] = 3
    assert np.asarray(rgb(palette)).min() == 255
    deep = Image.fromarray(np.full((20, 20), 32768, dtype=np.uint16))
    deep.save(tmp_path / "deep.png")
    image, mode = folder_scan.decode((tmp_path / "deep.png").read_bytes())
    assert mode.startswith("I")
    assert np.asarray(image)[0, 0].tolist() == [128] * 3
    for value in (0.5, 128.0):
        grey = Image.fromarray(np.full((20, 20), value, dtype=np.float32))
        assert np.asarray(rgb(grey))[0, 0, 0] == 128
    odd = Image.fromarray(np.array([[-5.0, np.nan], [np.inf, 5.0]], dtype=np.float32))
    assert rgb(odd).mode == "RGB"


def test_orientation_of_cameras_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    picture(0, 40, 30).save(tmp_path / "a.jpg", exif=exif)
    image, _ = folder_scan.decode((tmp_path / "a.jpg").read_bytes())
    assert image.size == (30, 40)


def test_unusable_files_are_named_with_reasons_and_stop_nothing(folder):
    whole = (folder / "1.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "flipped.png").write_bytes(whole[:200] + b"\xff" * 50 + whole[250:])
    (folder / "head.jpg").write_bytes(whole[:10])
    (folder / "empty.gif").touch()
    (folder / "words.jpg").write_text("not an image")
    (folder / "notes.txt").write_text("notes")
    (folder / "none").write_text("no suffix")
    (folder / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n")
    (folder / "again.png").write_bytes(whole)
    picture(90, 30, 4).save(folder / "thin.png")
    picture(91, 400, 10).save(folder / "strip.png")
    (folder / ".hidden.png").write_bytes(b"")
    os.mkfifo(folder / "pipe.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    found = reasons(folder)
    assert {name: reason.partition(":")[0] for name, reason in found.items()} == {
        "cut.png": "damaged",
        "flipped.png": "damaged",
        "head.jpg": "damaged",
        "empty.gif": "empty file",
        "words.jpg": "not an image, or damaged at its start",
        "notes.txt": "not an image by its name",
        "none": "not an image by its name",
        "script.png": "not an image, or damaged at its start",
        "again.png": "the same file again",
        "thin.png": "too small",
        "strip.png": "too long and narrow",
        "pipe.png": "not a regular file",
        "gone.png": "not a regular file",
    }
    assert found["again.png"].endswith(": 1.png")


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be large; a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_000, 20_000, 1_000_000])
def test_decompression_bombs_are_refused_before_decoding(folder, side, monkeypatch):
    (folder / "bomb.png").write_bytes(bomb(side, side))
    monkeypatch.setattr(pictures, "normal", None)  # nothing may come this far
    with pytest.raises(pictures.Unreadable, match="too many pixels"):
        folder_scan.decode((folder / "bomb.png").read_bytes())


def test_large_files_are_refused_unread(folder, monkeypatch):
    monkeypatch.setattr(folder_scan, "LIMITS", pictures.Limits(file_bytes=10))
    assert {reason.partition(":")[0] for reason in reasons(folder).values()} == {"file too large"}


# Report -----------------------------------------------------------------------------------------


def test_report_in_words_and_json(folder, tmp_path):
    (folder / "bad.png").write_text("x")
    (folder / "käse\udcff.txt").write_text("a name that is no UTF-8")
    prepared = prepare(folder, 25, tmp_path / "run")
    data = json.loads((tmp_path / "run" / "images_report.json").read_text("utf-8"))
    assert data == prepared.report
    assert data["used"] == data["training"] + data["validation"] == 12
    assert data["enlarged"] == 1  # 20 x 30
    assert data["modes"] == {"RGB": 12}
    assert data["refused"] == len(data["files"]) == 2
    text = (tmp_path / "run" / "images_report.txt").read_text("utf-8")
    assert "12 images of 'My Holiday Photos!'" in text
    assert "bad.png: not an image" in text
    assert str(tmp_path) not in text + json.dumps(data)


def test_long_reports_are_cut(monkeypatch):
    report = ScanReport("x", refused=[(f"{i}.png", "damaged: at all") for i in range(3000)])
    assert len(report.as_text().splitlines()) < 30
    assert "2980 more" in report.as_text()
    assert len(report.as_json()["files"]) == 1000
    assert report.as_json()["refused"] == 3000


# Splits and cuts --------------------------------------------------------------------------------


def test_split_depends_on_content_alone(folder, tmp_path):
    def held_out(place: Path, run: str) -> tuple[np.ndarray, str]:
        prepared = prepare(place, SIZE, tmp_path / run)
        pixels = FolderSource(prepared, "x", SIZE, CPU).probes(99)["validation"]
        return pixels.numpy(), prepared.digest

    one, digest = held_out(folder, "one")
    other = tmp_path / "other"
    other.mkdir()
    for number, path in enumerate(sorted(folder.rglob("*.png"), reverse=True)):
        shutil.copy(path, other / f"renamed{number}.png")
    two, same = held_out(other, "two")
    assert np.array_equal(one, two)
    assert digest == same


def test_an_image_trains_or_validates(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_data, "VALIDATION_SHARE", 0.3)
    prepared = prepare(folder, SIZE, tmp_path / "run")
    both = [*prepared.training, *prepared.validation]
    assert sorted(both) == list(range(12))
    assert 1 <= len(prepared.validation) <= 8


@pytest.mark.parametrize("count", [2, 3])
def test_small_sets_hold_out_one(tmp_path, count):
    for seed in range(count):
        picture(seed).save(tmp_path / f"{seed}.png")
    prepared = prepare(tmp_path, SIZE, tmp_path / "run")
    assert (len(prepared.training), len(prepared.validation)) == (count - 1, 1)


def test_cuts_are_real_squares_and_depend_on_seed_and_position_alone(folder, tmp_path):
    prepared = prepare(folder, SIZE, tmp_path / "run")
    source = FolderSource(prepared, "x", SIZE, CPU)
    batch = source.batch(3, 10, 8)
    assert batch.shape == (8, 3, SIZE, SIZE)
    assert batch.min() >= -1
    assert batch.max() <= 1
    assert torch.equal(batch[5:7], source.batch(3, 15, 2))
    assert not torch.equal(batch, source.batch(4, 10, 8))
    shorter = prepared.shapes.min(1)
    assert ((shorter >= SIZE) & (shorter <= SIZE * 1.25)).all()
    square = ((batch[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    wanted = {square.tobytes(), square[:, ::-1].tobytes()}
    cuts = {
        prepared.cut(n, top, left, SIZE).tobytes()
        for n in prepared.training
        for top in range(prepared.shapes[n][0] - SIZE + 1)
        for left in range(prepared.shapes[n][1] - SIZE + 1)
    }
    assert wanted & cuts


def test_prepared_images_are_used_again_until_a_file_changes(folder, tmp_path, monkeypatch):
    first = prepare(folder, SIZE, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(folder_data, "scan", None)
        assert prepare(folder, SIZE, tmp_path / "run").digest == first.digest
    picture(77).save(folder / "new.png")
    assert prepare(folder, SIZE, tmp_path / "run").report["used"] == 13
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "images.bin",
        "images.json",
        "images_report.json",
        "images_report.txt",
    }


@pytest.mark.parametrize("images", [0, 1])
def test_folders_with_too_little_are_refused(tmp_path, images):
    for seed in range(images):
        picture(seed).save(tmp_path / f"{seed}.png")
    (tmp_path / "bad.png").write_text("x")
    with pytest.raises(
        VarSpacesError, match=rf"{images} usable images.*damaged at its start \(1\)"
    ):
        prepare(tmp_path, SIZE, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


# The command ------------------------------------------------------------------------------------


def command(tmp_path: Path, folder: Path, *more: str) -> int:
    (tmp_path / "tok.toml").write_text(RECIPE)
    arguments = ["tokenizer", "--config", str(tmp_path / "tok.toml"), "--images", str(folder)]
    arguments += ["--steps", "3", "--device", "cpu", "--runs", str(tmp_path / "runs")]
    return main([*arguments, "--models", str(tmp_path / "models"), *more])


def test_one_command_from_a_folder_to_a_model_in_the_app(folder, tmp_path, capsys, monkeypatch):
    (folder / "bad.png").write_text("x")
    assert command(tmp_path, folder) == 0
    printed = capsys.readouterr().out
    assert "bad.png: not an image" in printed
    (name,) = (path.name for path in (tmp_path / "models").iterdir())
    assert re.fullmatch("tok-my-holiday-photos-[0-9a-f]{8}", name)
    assert (tmp_path / "runs" / name / "images_report.txt").is_file()
    card = json.loads((tmp_path / "models" / name / "card.json").read_text("utf-8"))
    assert card["title"] == "Small tokenizer, trained on My Holiday Photos!"
    assert card["resolution"] == 16
    assert card["training"]["data"].startswith("11 images of the folder 'My Holiday Photos!'")
    assert card["training"]["recipe"]["codebook"] == {"patch": 2}
    assert set(card["metrics"]) == {"psnr_validation", "codebook_usage_validation"}
    assert str(tmp_path) not in json.dumps(card)
    assert (tmp_path / "models" / name / "codebook.png").is_file()

    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.checkpoints import load_module

    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path / "models"))
    tokenizer = load_module(get_card(name, "tokenizer"))
    ids = tokenizer.encode(torch.zeros(1, 3, 16, 16))
    assert [i.shape for i in ids] == [(1, 1), (1, 4), (1, 16)]


def test_names_and_refusals(folder, tmp_path, capsys):
    assert command(tmp_path, folder, "--name", "mine", "--quiet") == 0
    assert (tmp_path / "models" / "mine" / "card.json").is_file()
    assert capsys.readouterr().out == ""
    assert command(tmp_path, folder, "--name", "again", "--start", "mine", "--quiet") == 0
    card = json.loads((tmp_path / "models" / "again" / "card.json").read_text("utf-8"))
    assert card["training"]["recipe"]["recipe"]["start"] == "mine"
    for name, place, message in (
        ("../x", folder, "cannot be the id"),
        ("x", tmp_path / "nowhere", "No folder of images"),
        ("x", tmp_path / "tok.toml", "give a folder, not a file"),
    ):
        assert command(tmp_path, place, "--name", name) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    (tmp_path / "var.toml").write_text('kind = "transformer"\nid = "v"\n[codebook]\npatch = 2\n')
    assert main(["transformer", "--config", str(tmp_path / "var.toml")]) == 2
    assert "trains no codebook" in capsys.readouterr().err
