"""``calibrate`` writes what calibrated policies then find; its numbers are those of attention."""

from __future__ import annotations

import json

import pytest

from var_spaces.cache.calibration import find
from var_spaces.schedule import ScaleSchedule


def test_calibrate_then_generate(run, tmp_path, monkeypatch):
    folder = tmp_path / "calibrations"
    monkeypatch.setenv("VAR_SPACES_CALIBRATIONS", str(folder))
    code, out, err = run("calibrate", "tiny-var", "--samples", "2")
    assert code == 0, err
    assert out.strip() == str(folder / "tiny-var.json")
    found = find("auto", "current", ScaleSchedule.square((1, 2, 4)), 2, 2)
    assert (found.model, found.samples, found.layers, found.heads) == ("tiny-var", 2, 2, 2)
    for layer in range(2):
        for k in range(3):
            rows = [found.mass[layer][h][k] for h in range(2)]
            assert [sum(row) for row in rows] == pytest.approx([1, 1], abs=1e-4)
            assert found.current[k][layer] == pytest.approx(sum(r[-1] for r in rows) / 2, abs=1e-4)
            assert 0 <= found.history_top[k][layer] <= 1
    for policy in ("scalekv", "hack", "heatkv"):
        picture = str(tmp_path / f"{policy}.png")
        code, _, err = run(
            *("generate", "--model", "tiny-var", "--out", picture, "--cache", policy),
            *("--cache-budget", "0.5"),
        )
        assert code == 0, err
    again = json.loads((folder / "tiny-var.json").read_text())
    assert "calibrate tiny-var --samples 2 --seed 0" in again["source"]


def test_refusals(run, tmp_path, monkeypatch):
    monkeypatch.setattr("var_spaces.cli.calibrate.measure", None)  # nothing is measured in vain
    (tmp_path / "file").write_bytes(b"x")
    told = run("calibrate", "tiny-var", "--out", tmp_path / "file" / "x")[2]
    assert told.startswith("error: Cannot make the folder")
    assert run("calibrate", "tiny-var", "--samples", "0")[0] == 2
    assert "nothing-like-it" in run("calibrate", "nothing-like-it")[2]
