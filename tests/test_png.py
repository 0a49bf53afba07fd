"""Run specs inside PNG files: round trips, foreign files, hostile files."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from var_spaces.codecs import PNG_SIGNATURE, read_png_text, write_png_text
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec, save_png

SPEC = RunSpec(model="var-small", inputs={"class": "red apple"}, seed=7)
PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
PNG = save_png(PIXELS, SPEC)


def refusal(source) -> str:
    with pytest.raises(VarSpacesError) as caught:
        RunSpec.read_png(source)
    message = str(caught.value)
    assert "\n" not in message
    return message


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(kind: bytes, data: bytes, png: bytes = PNG) -> bytes:
    """The picture with its own spec replaced by another chunk."""
    bare = png[:33] + png[33 + 12 + struct.unpack(">I", png[33:37])[0] :]
    assert b"var-spaces" not in bare
    return bare[:33] + chunk(kind, data) + bare[33:]


def test_pixels_and_spec_survive():
    assert RunSpec.read_png(PNG) == SPEC
    image = Image.open(io.BytesIO(PNG))
    assert image.info["var-spaces"] == SPEC.to_json()
    assert (np.asarray(image) == PIXELS).all()


def test_equal_input_gives_equal_bytes():
    assert save_png(PIXELS.copy(), RunSpec.from_json(SPEC.to_json())) == PNG
    assert save_png(PIXELS, SPEC.replace(seed=8)) != PNG


def test_enlarged_pixels_are_crisp():
    large = np.asarray(Image.open(io.BytesIO(save_png(PIXELS, SPEC, scale=3))))
    assert large.shape == (12, 15, 3)
    assert (large[1::3, 1::3] == PIXELS).all()
    assert (large[:3, :3] == PIXELS[0, 0]).all()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), st.booleans())
def test_any_spec_survives(word, keep):
    spec = SPEC.replace(inputs={"class": word}, count=1 + keep)
    assert RunSpec.read_png(spec.embed_in_png(PNG)) == spec


def test_embedding_replaces_the_old_spec_and_keeps_the_rest():
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "somebody")
    info.add_itxt("var-spaces", "an old one", zip=True)
    info.add_itxt("Title", "ü", lang="de", tkey="Titel")
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", pnginfo=info, dpi=(72, 72), optimize=True)
    done = SPEC.embed_in_png(buffer.getvalue())
    assert RunSpec.read_png(done) == SPEC
    image = Image.open(io.BytesIO(done))
    assert image.info["Author"] == "somebody"
    assert image.info["Title"] == "ü"
    assert round(image.info["dpi"][0]) == 72
    assert done.count(b"var-spaces") == 1
    assert SPEC.embed_in_png(done) == done


def test_pil_images_can_be_embedded():
    assert RunSpec.read_png(SPEC.embed_in_png(Image.fromarray(PIXELS))) == SPEC


@pytest.mark.parametrize("mode", ["text", "compressed text", "itext", "compressed itext"])
def test_rewritten_by_another_program(mode):
    info = PngImagePlugin.PngInfo()
    add = info.add_itxt if "itext" in mode else info.add_text
    add("var-spaces", SPEC.to_json(), zip="compressed" in mode)
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", pnginfo=info)
    assert RunSpec.read_png(buffer.getvalue()) == SPEC


def test_read_from_a_file(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    assert RunSpec.read_png(path) == RunSpec.from_file(str(path)) == SPEC
    renamed = path.rename(tmp_path / "picture.dat")
    assert RunSpec.from_file(renamed) == SPEC
    assert "Cannot read" in refusal(tmp_path / "none.png")
    assert "Cannot read" in refusal(tmp_path)


def test_not_a_png():
    for data in (b"", b"GIF89a", b"\xff\xd8\xff\xe0 jpeg", b"\x89PNG", PNG[1:]):
        assert refusal(data) == "This is not a PNG file."


def test_no_spec_inside():
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    assert "holds no run spec" in refusal(buffer.getvalue())


def test_cut_anywhere():
    for length in range(8, len(PNG)):
        assert "PNG file is cut" in refusal(PNG[:length])


@pytest.mark.parametrize(
    ("png", "part"),
    [
        (PNG_SIGNATURE + chunk(b"IDAT", b""), "damaged"),
        (PNG_SIGNATURE + struct.pack(">I", 2**32 - 1) + b"IHDR", "cut"),
        (PNG[:33] + struct.pack(">I4s", 2**31, b"tEXt") + PNG[33:], "cut"),
        (PNG[:33] + b"\0\0\0\0\xff\0\xff\0" + PNG[33:], "damaged"),
        (PNG.replace(b"red apple", b"red appel"), "damaged"),
        (with_chunk(b"tEXt", b"var-spaces\0" + b" " * 70_000), "larger than the allowed 64 kB"),
        (with_chunk(b"tEXt", b"var-spaces\0\xff\xff"), "UTF-8"),
        (with_chunk(b"tEXt", b"var-spaces"), "not JSON"),
        (with_chunk(b"tEXt", b"var-spaces\0" + b"[" * 50_000), "nested deeper"),
        (with_chunk(b"zTXt", b"var-spaces\0\0not zlib"), "damaged"),
        (with_chunk(b"zTXt", b"var-spaces\0\0" + zlib.compress(b" " * 10**7)), "more than 64 kB"),
        (with_chunk(b"iTXt", b"var-spaces\0\1\0\0\0" + zlib.compress(b" " * 10**7)), "64 kB"),
        (with_chunk(b"iTXt", b"var-spaces\0\1\0"), "damaged"),
        (with_chunk(b"iTXt", b"var-spaces"), "not JSON"),
        (
            with_chunk(b"tEXt", b"var-spaces\0{}", PNG)[:33] + PNG[33:-12] + PNG[33:],
            "two run specs",
        ),
    ],
)
def test_hostile_pictures(png, part):
    assert part in refusal(png)


def test_other_text_is_not_read():
    """A bomb under another keyword costs nothing."""
    bomb = chunk(b"zTXt", b"other\0\0" + zlib.compress(b" " * 10**7))
    assert RunSpec.read_png(PNG[:33] + bomb + PNG[33:]) == SPEC


def test_long_text_is_passed_over_unless_it_claims_to_be_ours():
    other = chunk(b"tEXt", b"other\0" + b" " * 10**6)
    assert RunSpec.read_png(PNG[:33] + other + PNG[33:]) == SPEC
    assert "larger than the allowed" in refusal(with_chunk(b"iTXt", b"var-spaces\0" + b" " * 10**6))


def test_text_round_trip_needs_no_pixels():
    """Not even a decodable image: only the chunk structure is read."""
    fake = PNG_SIGNATURE + chunk(b"IHDR", b"\xff" * 13) + chunk(b"IEND", b"")
    assert read_png_text(write_png_text(fake, "text")) == b"text"


@given(st.binary(max_size=200), st.integers(0, len(PNG) - 1))
def test_any_damage_is_read_or_refused_in_one_line(noise, start):
    damaged = PNG[:start] + noise + PNG[start + len(noise) :]
    try:
        RunSpec.read_png(damaged)
    except VarSpacesError as error:
        assert "\n" not in str(error)
