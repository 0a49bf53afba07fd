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


@pytest.mark.parametrize(
    "bad",
    [
        "a.png",
        None,
        np.zeros((4, 4, 3)),
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
