import numpy as np
import pytest
from PIL import Image

from var_spaces.errors import VarSpacesError
from var_spaces.pictures import as_mask, as_rgb, digest, fit, fit_mask


def test_every_kind_of_picture_becomes_rgb():
    for mode in ("RGB", "L", "P", "1", "CMYK", "I;16"):
        pixels = as_rgb(Image.new(mode, (5, 3)))
        assert pixels.shape == (3, 5, 3) and pixels.dtype == np.uint8
    clear = as_rgb(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))
    assert (clear == 255).all()


def test_pictures_are_turned_upright():
    image = Image.new("RGB", (5, 3))
    exif = image.getexif()
    exif[0x0112] = 6  # rotated by a quarter
    image.info["exif"] = exif.tobytes()
    assert as_rgb(image).shape == (5, 3, 3)


def test_arrays_of_every_number_of_channels():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    clear = np.full((2, 3, 1), 255, np.uint8)
    for array in (grey, grey[..., None], np.dstack([grey, clear]), np.dstack([rgb, clear])):
        assert (as_rgb(array) == rgb).all()
    assert (as_mask(grey[..., None] > 2) == np.where(grey > 2, 255, 0)).all()
    assert (as_rgb(Image.fromarray(np.dstack([grey, clear])).convert("La")) == rgb).all()


def test_a_picture_whose_file_is_closed_or_damaged_is_refused_in_one_line(tmp_path):
    for name, cut in (("closed.png", 0), ("cut.png", 60)):
        noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) - cut])
        image = Image.open(tmp_path / name)
        if not cut:
            image.close()
        with pytest.raises(VarSpacesError, match=r"^The map cannot be read: "):
            as_rgb(image, "The map")


@pytest.mark.parametrize(
    "bad",
    [
        "a.png",
        None,
        np.zeros((4, 4, 3)),
        np.full((4, 4, 3), np.nan, np.float32),
        np.zeros((2, 2, 2, 3), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(bad):
    with pytest.raises(VarSpacesError) as error:
        as_rgb(bad)
    assert "\n" not in str(error.value)


def test_huge_pictures_are_refused():
    with pytest.raises(VarSpacesError, match="4096x4096"):
        as_rgb(Image.new("1", (5000, 5000)))


def test_masks_are_black_or_white():
    grey = np.array([[0, 127], [128, 255]], np.uint8)
    want = np.array([[0, 0], [255, 255]], np.uint8)
    assert (as_mask(grey) == want).all()
    assert (as_mask(want.astype(bool)) == want).all()
    assert (as_mask(Image.fromarray(grey)) == want).all()


def test_the_hash_depends_on_pixels_and_shape():
    a = np.zeros((2, 6), np.uint8)
    assert digest(a) == digest(a.copy())
    assert len({digest(a), digest(a.reshape(3, 4)), digest(a + 1)}) == 3


def test_fitting_takes_the_centre():
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 200
    assert (fit(wide, 4, 4) == 200).all()
    mask = np.zeros((8, 16), np.uint8)
    mask[:, 8:] = 255
    got = fit_mask(mask, 4, 4)
    assert got.dtype == bool and (got == [False, False, True, True]).all()


def test_a_cell_needs_half_of_its_pixels():
    mask = np.zeros((4, 4), np.uint8)
    mask[0, :3] = mask[1, 0] = 255  # 3 of 4 pixels of one cell, 1 of 4 of the next
    assert fit_mask(mask, 2, 2).tolist() == [[True, False], [False, False]]
