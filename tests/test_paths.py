"""Files are written whole or not at all; places that cannot be written are refused in a line."""

from __future__ import annotations

import pytest

from var_spaces.errors import VarSpacesError
from var_spaces.paths import made_folder, write_file


@pytest.mark.parametrize("name", ["file/x", "n" * 256, "", "no/x"])
def test_a_place_that_cannot_be_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(VarSpacesError, match=r"Cannot write|names no file"):
        write_file(name, b"y")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_longest_name_can_be_written(tmp_path):
    place = tmp_path / ("n" * 255)
    write_file(place, b"y")
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_a_folder_for_results(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    assert made_folder(tmp_path / "a" / "b").is_dir()
    with pytest.raises(VarSpacesError, match="Cannot make the folder"):
        made_folder(tmp_path / "file" / "x")
