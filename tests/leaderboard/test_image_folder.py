"""The image-folder reference reads what people have: alpha, turned, deep, grey, CMYK, cut."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leaderboard.references.image_folder import ImageFolder
from var_spaces.errors import VarSpacesError

CASES = Path(__file__).parents[1] / "hostile" / "cases"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    (tmp_path / "real").mkdir()
    return tmp_path / "real"


def only(folder: Path) -> np.ndarray:
    (found,) = ImageFolder(folder="real").images()
    assert found.dtype == np.uint8 and found.shape[0] == 1 and found.shape[3] == 3
    return found[0]


def test_transparent_becomes_white(folder):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = (10, 20, 30, 255)
    Image.fromarray(pixels).save(folder / "a.png")
    found = only(folder)
    assert found[0, 0].tolist() == [10, 20, 30]
    assert found[3, 3].tolist() == [255, 255, 255]


def test_the_camera_is_heard(folder):
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(pixels).save(folder / "a.jpg", exif=exif, quality=95)
    found = only(folder)
    assert found.shape == (16, 8, 3)
    assert found[:6].mean() > 250 and found[-6:].mean() < 5


def test_deep_greys_are_no_white(folder):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(folder / "a.png")
    assert only(folder)[..., 0].ravel().tolist() == pytest.approx(np.linspace(0, 255, 64), abs=1)


@pytest.mark.parametrize("name", sorted(p.name for p in CASES.iterdir() if p.is_file()))
def test_every_case_is_read(folder, name):
    shutil.copy(CASES / name, folder)
    only(folder)


@pytest.mark.parametrize("data", [b"", b"hello", "cut"])
def test_a_bad_file_is_named(folder, data):
    if data == "cut":
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(folder / "b.png")
        data = (folder / "b.png").read_bytes()[:3000]
    (folder / "b.png").write_bytes(data)
    with pytest.raises(VarSpacesError, match=r"The picture b\.png cannot be used") as caught:
        list(ImageFolder(folder="real").images())
    assert "\n" not in str(caught.value)


def test_its_identity_is_its_content(folder):
    with pytest.raises(VarSpacesError, match="No picture is in 'real'"):
        _ = ImageFolder(folder="real").identity
    (folder / "a.png").write_bytes(b"1234")
    with pytest.raises(VarSpacesError, match=r"at least 2 real \(pictures in 'real'\) images"):
        _ = ImageFolder(folder="real").identity
    (folder / "b.png").write_bytes(b"1234")
    before = ImageFolder(folder="real").identity
    assert before.startswith("image-folder(real sRGB ") and before.endswith(" M=2)")
    (folder / "a.png").write_bytes(b"1235")  # of the same name and size
    assert ImageFolder(folder="real").identity != before
