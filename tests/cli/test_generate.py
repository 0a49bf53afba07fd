"""``generate`` and ``show``: what they write and print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from var_spaces.cli.generate import grid
from var_spaces.record import RunRecord
from var_spaces.spec import RunSpec

ROOT = Path(__file__).resolve().parent.parent.parent


def test_equal_seeds_give_equal_bytes(key_command, run, tmp_path):
    code, out, err = run(*key_command(tmp_path / "a.png", "--seed", 3))
    assert (code, err) == (0, "")
    assert "1 x tiny-var" in out
    run(*key_command(tmp_path / "b.png", "--seed", 3))
    run(*key_command(tmp_path / "c.png", "--seed", 4))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "c.png"]
    assert Image.open(tmp_path / "a.png").size == (16, 16)


def test_another_process_gives_the_same_bytes(key_command, run, tmp_path, tiny_models):
    run(*key_command(tmp_path / "a.png"))
    command = [sys.executable, "-m", "var_spaces", *map(str, key_command(tmp_path / "b.png"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_show_prints_the_spec_and_generate_takes_it_back(key_command, run, tmp_path):
    first, again, json_file = (tmp_path / name for name in ("a.png", "b.png", "a.json"))
    flags = ("--seed", 5, "--n", 2, "--style", "soft", "--top-k", 8, "--guidance-scale", 2)
    run(*key_command(first, *flags))
    _, shown, _ = run("show", first)
    spec = RunSpec.from_json(shown)
    assert (spec.seed, spec.count, spec.sampling["top_k"], spec.guidance["scale"]) == (5, 2, 8, 2.0)
    assert spec.inputs == {"class": "key", "style": "soft"}
    assert run("show", first, "--id")[1].strip() == spec.id
    assert RunSpec.from_link(run("show", first, "--link")[1].strip()) == spec
    json_file.write_text(shown)
    for source in (first, json_file):
        assert run("generate", "--spec", source, "--out", again)[0] == 0
        assert again.read_bytes() == first.read_bytes()


def test_flags_change_what_a_spec_says(key_command, run, tmp_path):
    run(*key_command(tmp_path / "a.png", "--seed", 5, "--top-k", 8))
    run("generate", "--spec", tmp_path / "a.png", "--top-p", "0.5", "--out", tmp_path / "b.png")
    spec = RunSpec.read_png(tmp_path / "b.png")
    assert (spec.seed, spec.sampling["top_k"], spec.sampling["top_p"]) == (5, 8, 0.5)
    assert spec.inputs["class"] == "key"


def test_defaults_come_from_the_card(key_command, run, tmp_path):
    run(*key_command(tmp_path / "a.png"))
    assert RunSpec.read_png(tmp_path / "a.png").sampling["top_k"] == 16


def test_class_by_number_is_stored_by_name(run, tmp_path):
    run("generate", "--model", "tiny-var", "--class", 0, "--out", tmp_path / "a.png")
    assert RunSpec.read_png(tmp_path / "a.png").inputs["class"] == "red apple"


def test_several_images_make_one_grid(key_command, run, tmp_path):
    run(*key_command(tmp_path / "a.png", "--n", 3))
    run(*key_command(tmp_path / "b.png", "--first", 2))
    sheet, third = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    assert sheet.shape == (32, 32, 3)
    assert (sheet[16:, :16] == third).all()
    assert (sheet[16:, 16:] == 255).all()


def test_upscaled_crisply(key_command, run, tmp_path):
    run(*key_command(tmp_path / "a.png"))
    run(*key_command(tmp_path / "b.png", "--scale", 4))
    small, large = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    assert (large == small.repeat(4, 0).repeat(4, 1)).all()


def test_json_prints_the_record(key_command, run, tmp_path):
    _, out, _ = run(*key_command(tmp_path / "a.png", "--json", "--n", 2))
    record = RunRecord.from_json(out)
    assert record.spec == RunSpec.read_png(tmp_path / "a.png")
    assert [row.tokens for row in record.scales] == [1, 4, 16]
    assert len(record.image_sha256) == 2


def test_what_the_cache_held_is_drawn(key_command, run, tmp_path):
    """A row after each of the scales 1, 2, 4: everything is held, and then the newest tokens."""
    out, kept = tmp_path / "a.png", tmp_path / "kept.png"
    for flags, dark in ((), False), (("--cache", "sliding-window", "--cache-budget", 0.2), True):
        assert run(*key_command(out, "--kept", kept, *flags))[0] == 0
        picture = np.asarray(Image.open(kept))
        assert picture.shape == (3 * 128 + 2 * 4, 3 * 128 + 2 * 4, 3)
        assert (picture[:128, 132:] == 255).all()  # later scales are not drawn yet
        first_map_at_the_end = picture[-128:, :128].reshape(-1, 3)
        assert (first_map_at_the_end == (26, 24, 46)).all() == dark
    assert run(*key_command(out, "--kept", tmp_path / "kept.jpg"))[0] == 2
    assert "must end in .png" in run(*key_command(out, "--kept", tmp_path / "kept.jpg"))[2]


def test_progress_only_on_a_terminal(key_command, run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, _, err = run(*key_command(tmp_path / "a.png"))
    assert "scale 3/3  4x4 tokens" in err


def test_grid_shapes():
    images = [np.full((2, 3, 3), i, np.uint8) for i in range(5)]
    assert grid(images[:1]).shape == (2, 3, 3)
    assert grid(images[:2]).shape == (2, 6, 3)
    assert grid(images).shape == (4, 9, 3)
