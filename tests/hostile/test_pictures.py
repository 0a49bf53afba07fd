"""The one reader of pictures: right colours from every kind of file, and bounds before decoding."""

from __future__ import annotations

import ast
import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.hostile.fuzz import bounded, examples
from var_spaces import pictures
from var_spaces.codecs import PNG_SIGNATURE
from var_spaces.errors import VarSpacesError
from var_spaces.pictures import Limits, as_mask, as_rgb, check_marked, decode, read

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
RAMP = (np.arange(96) * 65535 // 95 // 257).astype(int)  # what grey16.png holds, in 8 bits


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rgb(data: bytes | Path) -> np.ndarray:
    return as_rgb(read(data))


# --- colours --------------------------------------------------------------------------------------


def test_deep_greys_keep_their_scale():
    pixels = rgb(CASES / "grey16.png")
    assert abs(pixels[0, :, 0] - RAMP).max() <= 1
    mask = as_mask(read(CASES / "grey16.png"))
    assert (mask[0, :47] == 0).all() and (mask[0, 49:] == 255).all()
    for value in (0.5, 128.0):
        grey = Image.fromarray(np.full((9, 9), value, np.float32))
        assert rgb(saved(grey, "TIFF"))[0, 0].tolist() == [128] * 3


@pytest.mark.parametrize(
    ("grey", "want"),
    [
        (np.array([[-5.0, np.nan], [np.inf, 5.0]], np.float32), [[0, 5], [255, 10]]),
        (np.array([[np.nan, np.inf], [-np.inf, 0]], np.float32), [[0, 255], [0, 0]]),
        (np.array([[0, 65535], [0, 32768]], np.int32), [[0, 255], [0, 128]]),
    ],
)
def test_odd_numbers_are_grey_too(grey, want):
    assert as_rgb(Image.fromarray(grey))[..., 0].tolist() == want


def test_a_transparent_grey_of_sixteen_bits_is_white():
    deep = np.array([[1000, 40000]], np.uint16)
    png = saved(Image.fromarray(deep))
    clear = png[:33] + chunk(b"tRNS", struct.pack(">H", 1000)) + png[33:]
    assert rgb(clear)[0, :, 0].tolist() == [255, round(40000 / 257)]


def test_cameras_and_printers():
    plain = np.asarray(Image.open(CASES / "exif6.jpg").convert("RGB"))
    assert (rgb(CASES / "exif6.jpg") == np.rot90(plain, -1)).all()
    cmyk = rgb(CASES / "cmyk.jpg")
    ink = np.asarray(Image.open(CASES / "cmyk.jpg")).astype(int)
    want = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    assert cmyk.shape == (64, 96, 3) and abs(cmyk - want).max() <= 1


def test_transparency_becomes_white():
    pixels = np.asarray(Image.open(CASES / "rgb_trns.png"))
    clear = (pixels == (40, 90, 200)).all(-1)
    assert clear.any() and (rgb(CASES / "rgb_trns.png")[clear] == 255).all()
    assert (rgb(CASES / "rgb_trns.png")[~clear] == pixels[~clear]).all()
    half = Image.new("LA", (4, 4), (0, 128))
    assert abs(int(rgb(saved(half))[0, 0, 0]) - 127) <= 1
    assert (rgb(CASES / "la.png")[..., 0] == np.asarray(Image.open(CASES / "la.png"))[..., 0]).all()
    palette = Image.new("P", (4, 4), 0)
    assert (rgb(saved(palette, transparency=0)) == 255).all()


def test_animations_give_their_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        red, _, blue = rgb(data)[4, 4].tolist()
        assert red > 240 and blue < 15, kind


def test_colour_profiles_become_srgb():
    image = Image.new("RGB", (4, 4), (200, 30, 60))
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert rgb(saved(image, icc_profile=own))[0, 0].tolist() == [200, 30, 60]
    swapped = rgb(saved(image, icc_profile=swapped_primaries(own)))[0, 0].tolist()
    assert abs(np.subtract(swapped, [30, 200, 60])).max() <= 3
    clear = image.convert("RGBA")
    clear.putalpha(0)
    assert (rgb(saved(clear, icc_profile=swapped_primaries(own))) == 255).all()


@pytest.mark.parametrize("space", ["RGB ", "GRAY"])
def test_a_linear_profile_counts_whatever_its_name_and_the_depth_of_its_picture(space):
    """Names such as "Linear sRGB" are in use; 16 bits are the same picture."""
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colours = grey if space == "GRAY" else np.repeat(grey[..., None], 3, axis=2)
    profile = linear(space.encode())
    found = rgb(saved(Image.fromarray(colours), icc_profile=profile))[..., 0]
    light = grey / 255
    want = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert abs(found[1:] - want[1:]).max() <= 2
    if space == "GRAY":
        deep = Image.fromarray(grey.astype(np.uint16) * 257)
        for kind in ("PNG", "TIFF"):
            assert (rgb(saved(deep, kind, icc_profile=profile))[..., 0] == found).all()


def linear(space: bytes) -> bytes:
    """A profile with tones in proportion to light and the primaries of sRGB."""

    def xyz(*values: float) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))

    said = b"Linear sRGB\0"
    tone = b"curv" + bytes(4) + struct.pack(">IH", 1, 256) + bytes(2)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(said)) + said + bytes(80),
        b"wtpt": xyz(0.9642, 1, 0.8249),
    }
    if space == b"GRAY":
        tags[b"kTRC"] = tone
    else:
        primaries = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
        for name, values in zip((b"r", b"g", b"b"), primaries, strict=True):
            tags |= {name + b"XYZ": xyz(*values), name + b"TRC": tone}
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        place = 132 + 12 * len(tags) + len(body)
        table += name + struct.pack(">II", place, len(value))
        body += value + bytes(-len(value) % 4)
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4xI4s4s4s12x4s28x3i", size, 0x02400000, b"mntr", space, b"XYZ ", b"acsp",
                       63190, 65536, 54061)  # fmt: skip
    return head.ljust(128, b"\0") + table + body


def swapped_primaries(profile: bytes) -> bytes:
    """The profile with what its red and its green are exchanged, under another name."""
    swapped = profile.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "xxxx".encode("utf-16-be"))


@pytest.mark.parametrize("profile", [b"", b"x" * 500, b"\0" * 5_000_000])
def test_profiles_that_are_none_are_passed_over(profile):
    data = saved(Image.new("RGB", (4, 4), (9, 8, 7)), "TIFF", icc_profile=profile)
    assert rgb(data)[0, 0].tolist() == [9, 8, 7]


# --- masks ----------------------------------------------------------------------------------------


def test_what_a_mask_marks():
    strokes = np.asarray(Image.open(CASES / "m_strokes_white.png"))[..., 3] == 255
    assert 0.2 < strokes.mean() < 0.3
    assert ((as_mask(read(CASES / "m_strokes_white.png")) == 255) == strokes).all()
    dark = np.zeros((8, 8, 4), np.uint8)
    dark[:, :4, 3] = 255  # black strokes on nothing
    assert (as_mask(dark) == np.where(dark[..., 3], 255, 0)).all()
    both = dark.copy()
    both[:, :2, :3] = 255  # black and white are drawn: white is the region
    assert (as_mask(both)[:, :2] == 255).all() and not as_mask(both)[:, 2:].any()
    assert not as_mask(np.zeros((4, 4, 4), np.uint8)).any()


@pytest.mark.parametrize("name", ["m_none.png", "m_16mid.png"])
def test_a_mask_that_marks_nothing_is_not_no_mask(name):
    mask = as_mask(read(CASES / name))
    assert not mask.any()
    with pytest.raises(VarSpacesError, match="marks no region"):
        check_marked(mask)


# --- bounds ---------------------------------------------------------------------------------------


def claims(width: int, height: int, extra: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return PNG_SIGNATURE + head + extra + chunk(b"IDAT", zlib.compress(bytes(99))) + END


END = chunk(b"IEND", b"")
WORDS = b"".join(
    chunk(b"zTXt", b"k%d\0\0" % number + zlib.compress(bytes(10**6), 9)) for number in range(300)
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (claims(5000, 5000), "too many pixels: 5000x5000, at most 4096x4096"),
        (claims(2**31 - 1, 2**31 - 1), "too many pixels"),
        (claims(70_000, 10), "too long"),
        (claims(0, 9), "damaged|not an image"),
        (claims(4, 4, chunk(b"tEXt", b"a\0b") * 70_000), "too many chunks"),
        (b"\xff\xd8" + b"\xff\xda" * 300, "too many scans"),
        (b"", "empty"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "not an image"),
    ],
)
def test_harm_is_refused_before_pixels(data, reason):
    with bounded(16), pytest.raises(VarSpacesError, match=reason) as error:
        read(data)
    assert "\n" not in str(error.value)


def test_words_in_a_picture_are_never_unpacked():
    """300 MB of text in 300 kB, where no single piece is large."""
    good = saved(Image.new("RGB", (8, 8), "red"))
    with bounded(16):
        assert rgb(good[:33] + WORDS + good[33:])[0, 0].tolist() == [255, 0, 0]


def tags(number: int, size: int, *, inner: bool = False) -> bytes:
    """Exif of some tags that all name the same bytes, perhaps in a directory within another."""
    start = 26 if inner else 8
    outer = struct.pack("<HHHIII", 1, 0x8769, 4, 1, start, 0) if inner else b""
    entries = struct.pack("<H", number) + b"".join(
        struct.pack("<HHII", 1000 + i, 7, size, start + 6 + 12 * number) for i in range(number)
    )
    return b"II*\0\x08\0\0\0" + outer + entries + bytes(4 + size)


def in_jpeg(*pieces: bytes) -> bytes:
    good = saved(Image.new("RGB", (8, 8), "red"), "JPEG")
    parts = [b"\xff\xe1" + struct.pack(">H", len(p) + 8) + b"Exif\0\0" + p for p in pieces]
    return good[:2] + b"".join(parts) + good[2:]


GREEDY = tags(400, 60_000)  # 24 MB in 65 kB
AGAIN = b"Exif\0\0" * 50_000


@pytest.mark.parametrize("exif", [GREEDY, tags(400, 60_000, inner=True), AGAIN])
def test_notes_that_say_more_than_they_hold_turn_nothing(exif):
    png = saved(Image.new("RGB", (8, 8), "red"))
    with bounded(4):
        assert rgb(png[:33] + chunk(b"eXIf", exif) + png[33:])[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (in_jpeg(GREEDY), "notes say more"),
        (in_jpeg(GREEDY[:5000], GREEDY[5000:]), "notes say more"),
        (in_jpeg(tags(400, 60_000, inner=True)), "notes say more"),
        (in_jpeg(*[b"x"] * 65), "too many pieces"),
        (GREEDY, "notes say more"),
        (b"GIF89a" + bytes(7) + b"!\xfe" + b"\1x" * 40_000 + b"\0,", "comments too long"),
        (b"GIF89a" + bytes(7) + b"!\xfe\0" * 70_000 + b",", "comments too long"),
    ],
)
def test_notes_that_take_long_are_refused(file, reason):
    with bounded(4), pytest.raises(VarSpacesError, match=reason):
        read(file)


def test_notes_as_cameras_write_them_are_read():
    image = Image.new("RGB", (8, 5))
    exif = image.getexif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x927C] = bytes(40_000)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        assert rgb(saved(image, kind, exif=exif)).shape == (8, 5, 3), kind
    assert rgb(saved(image, "GIF", comment=b"x" * 1000)).shape == (5, 8, 3)


def test_files_have_limits(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(Image.new("RGB", (8, 8))))
    with pytest.raises(VarSpacesError, match="The mask cannot be used: file too large"):
        read(path, "The mask", Limits(file_bytes=10))
    with pytest.raises(VarSpacesError, match="cannot be read: No such file"):
        read(tmp_path / "none.png")
    with pytest.raises(VarSpacesError, match="not a regular file"):
        read(tmp_path)


def test_nothing_else_opens_pictures():
    """Every reader is this one."""
    found = []
    for path in [*ROOT.glob("var_spaces/**/*.py"), *ROOT.glob("leaderboard/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="Image"), attr="open")):
                    found.append(path.relative_to(ROOT).as_posix())
    assert found == ["var_spaces/pictures.py"]


SEEDS = [path.read_bytes() for path in sorted(CASES.glob("*"))] + [
    saved(Image.new("RGB", (8, 8)), kind) for kind in ("WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
]


@examples()
@given(st.sampled_from(SEEDS), st.data())
def test_any_damage_is_read_or_refused_in_one_line(seed, data):
    content = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    small = Limits(pixels=10**6)
    with bounded(64):
        try:
            image, _ = decode(bytes(content[:cut]), small)
        except VarSpacesError as error:
            assert "\n" not in str(error) and len(str(error)) < 250
        else:
            assert as_mask(image).shape == as_rgb(image).shape[:2]


def test_what_bounds_memory_measures_it():
    with pytest.raises(AssertionError), bounded(1):
        bytearray(2 << 20)
    assert not tracemalloc.is_tracing()
    assert pictures.USUAL.pixels == 4096 * 4096
