"""Matching icons to concepts, and what happens when the packages cannot be had. No network."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from var_spaces.errors import VarSpacesError
from var_spaces.training.data import build_atlas, matching, packages
from var_spaces.training.data.index import default_folder, read_index
from var_spaces.training.data.packages import Package


def entry(code: str, name: str, group: str = "food-drink", subgroup: str = "food-fruit"):
    return matching.Entry(code, name, group, subgroup, ())


def icon_set(*names: str, aliases: dict | None = None, chars: dict | None = None):
    icons = {"icons": {name: {"body": "<g/>"} for name in names}, "width": 32, "height": 32}
    return matching.read_set(icons | {"aliases": aliases or {}}, chars or {})


def test_slugs_and_code_points() -> None:
    assert matching.slug("Tokyo tower") == "tokyo-tower"
    assert matching.slug("woman's hat") == "womans-hat"
    assert matching.slug("piñata") == "pinata"
    assert matching.plain_hex("2600-FE0F") == "2600"


@pytest.mark.parametrize(
    ("icons", "expected"),
    [
        (icon_set("x", chars={"1f34e": "x"}), "x"),
        (icon_set("red-apple"), "red-apple"),
        (icon_set("apple-1", aliases={"red-apple": {"parent": "apple-1"}}), "apple-1"),
        (icon_set("macintosh"), "macintosh"),
        (icon_set("redapple"), "redapple"),
        (icon_set("pear"), None),
        (icon_set("a", aliases={"red-apple": {"parent": "a", "hFlip": True}}), None),
    ],
)
def test_every_rule_finds_its_icon(icons: matching.IconSet, expected: str | None) -> None:
    teacher = icon_set("macintosh", chars={"1f34e": "macintosh"})
    found = matching.match([entry("1f34e", "red apple")], {"set": icons, "other": teacher})
    assert found["set"].get("1f34e") == expected


def test_unicode_name_is_the_last_resort() -> None:
    found = matching.match([entry("1f9ed", "direction finder")], {"set": icon_set("compass")})
    assert found["set"] == {"1f9ed": "compass"}


def test_a_guess_never_takes_an_icon_that_is_certain_elsewhere() -> None:
    entries = [entry("1f9ed", "direction finder"), entry("1f9ff", "compass")]
    assert matching.match(entries, {"set": icon_set("compass")})["set"] == {"1f9ff": "compass"}


def test_core_rule() -> None:
    kept = entry("a", "red apple")
    dropped = [
        entry("b", "very red apple"),
        entry("c", "apple face"),
        entry("d", "smile", group="smileys-emotion"),
        entry("e", "coin", group="objects", subgroup="money"),
        entry("f", "rare fruit"),
    ]
    everywhere = dict.fromkeys("abcde", "icon")
    membership = {str(n): everywhere for n in range(matching.CORE_MEMBERSHIP)}
    assert matching.core_entries([kept, *dropped], membership) == [kept]


def test_svg_uses_the_icons_own_frame() -> None:
    data = {"icons": {"a": {"body": "<g/>", "width": 20, "left": 2}}, "width": 32, "height": 32}
    svg = matching.read_set(data, {}).svg("a", "#222222")
    assert 'viewBox="2 0 20 32"' in svg and 'color="#222222"' in svg and svg.endswith("<g/></svg>")


def test_entries_skip_flags_and_join_tags() -> None:
    hierarchy = {"groups": {"4": "food-drink", "9": "flags"}, "subgroups": {"1": "food-fruit"}}
    data = [
        {"hexcode": "1F34E", "label": "red apple", "group": 4, "subgroup": 1, "tags": ["Fruit"]},
        {"hexcode": "1F3F3-FE0F", "label": "white flag", "group": 9, "subgroup": 1},
        {"hexcode": "1F1E6", "label": "regional indicator A"},
    ]
    keywords = {"\U0001f34e": ["red_apple", "fruit", "school_food", ":D"]}
    (apple,) = matching.read_entries(data, hierarchy, keywords)
    assert apple.hex == "1f34e" and apple.tags == ("fruit", "school food")


def tarball(folder: Path, content: dict) -> Package:
    path = folder / "thing-1.0.0.tgz"
    text = json.dumps(content).encode()
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("package/data.json")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return Package("thing", "1.0.0", hashlib.sha256(path.read_bytes()).hexdigest())


def test_cached_tarballs_are_verified_and_read(tmp_path: Path) -> None:
    package = tarball(tmp_path, {"a": 1})
    path = packages.fetch(package, tmp_path, print)
    assert packages.read_json(path, "data.json") == {"a": 1}
    with pytest.raises(VarSpacesError, match="no file icons"):
        packages.read_json(path, "icons.json")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(VarSpacesError, match=r"expected .* delete the file"):
        packages.fetch(package, tmp_path, print)


def test_missing_npm_is_one_clear_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build_atlas.main(["--out", str(tmp_path), "--cache", str(tmp_path / "cache")]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: npm was not found") and "\n" not in error


def test_failing_npm_is_one_clear_line(tmp_path: Path, monkeypatch) -> None:
    fake = tmp_path / "npm"
    fake.write_text("#!/bin/sh\necho 'no route to host' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(VarSpacesError, match=r"could not download thing@1.* \(no route to host\)"):
        packages.fetch(Package("thing", "1.0.0", "0"), tmp_path, print)


def test_the_shipped_index_names_the_pinned_packages() -> None:
    index = read_index()
    assert index.packages == {package.name: package.version for package in packages.all_packages()}
    assert tuple(index.styles) == build_atlas.STYLES
    assert {style.set for style in index.styles} == set(packages.SHIPPED_SETS)
    text = (default_folder() / "index.json").read_text(encoding="utf-8")
    assert list(json.loads(text)["concepts"][0]) == ["hex", "name", "group", "subgroup", "tags"]
