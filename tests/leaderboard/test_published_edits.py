"""Published benchmarks of editing, from small files of the same layout."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from leaderboard import published_edits
from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.metrics.clip_direction import ClipDirection
from leaderboard.metrics.imgedit import ImgEditScore, rating
from leaderboard.metrics.pie_kept_psnr import PieKeptPsnr
from leaderboard.published_edits import kept_pixels
from leaderboard.suites.base import get_suite
from var_spaces.errors import VarSpacesError

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    readers = (published_edits.pie_bench, published_edits.emu_edit, published_edits.imgedit)
    for reader in readers:
        reader.cache_clear()
    yield tmp_path
    for reader in readers:
        reader.cache_clear()


def write_pie(folder, **changes):
    place = folder / "pie-bench" / "annotation_images" / "0_random"
    place.mkdir(parents=True, exist_ok=True)
    (place / "a.png").write_bytes(png(PIXELS[0]))
    entry = {"image_path": "0_random/a.png", "editing_type_id": "0", "mask": [17, 3, 40, 2]}
    entry |= {"editing_instruction": "make it red", "original_prompt": "a [blue] car"}
    entry |= {"editing_prompt": "a [red] car", **changes}
    (folder / "pie-bench" / "mapping_file.json").write_text(json.dumps({"000": entry}))


def batch_of(suite, images):
    items = tuple(get_suite(suite).items())
    return Batch(items, images, np.zeros((len(images), 1)), Cost(0, (), ()))


def test_pie_bench(data):
    write_pie(data)
    suite = get_suite("pie-bench")
    (item,) = suite.items()
    assert item.inputs["instruction"] == "make it red"
    assert item.facts["caption"] == "a red car" and item.facts["source-caption"] == "a blue car"
    assert (suite.pictures()[item.inputs["source"]] == PIXELS[0]).all()
    kept = kept_pixels(item.facts["mask"], 16, 16)
    assert not kept[1, 1:4].any() and kept[1, 4] and not kept[2, 8:10].any()
    assert not kept[[0, -1]].any() and not kept[:, [0, -1]].any()
    image = PIXELS[:1].copy()
    image[0][~kept] = 0
    batch = batch_of("pie-bench", image)
    assert PieKeptPsnr().measure(batch, Context(device="cpu")).tolist() == [50]
    image[0][5, 5] ^= 128
    assert PieKeptPsnr().measure(batch, Context(device="cpu"))[0] < 50


def test_a_mask_of_everything_leaves_nothing_that_could_be_lost(data):
    write_pie(data, mask=[0, 512 * 512])
    batch = batch_of("pie-bench", PIXELS[1:])
    assert PieKeptPsnr().measure(batch, Context(device="cpu")).tolist() == [50]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_path": "../../secret.png"}, "outside its folder"),
        ({"mask": "xyz"}, "not one of PIE-Bench"),
        ({"editing_type_id": None, "image_path": 3}, "not one of PIE-Bench"),
    ],
)
def test_bad_pie_files_are_refused(data, changes, message):
    write_pie(data, **changes)
    with pytest.raises(VarSpacesError, match=message):
        get_suite("pie-bench").items()


def test_emu_edit(data):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = data / "emu-edit" / "data"
    folder.mkdir(parents=True)
    with pytest.raises(VarSpacesError, match="download it from"):
        get_suite("emu-edit").items()
    rows = [
        {
            "image": {"bytes": png(pixels), "path": None},
            "instruction": f"edit {n}",
            "input_caption": "before",
            "output_caption": "after",
            "task": "local",
        }
        for n, pixels in enumerate(PIXELS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "test-00000-of-00001.parquet")
    items = get_suite("emu-edit").items()
    assert [item.inputs["instruction"] for item in items] == ["edit 0", "edit 1"]
    known = get_suite("emu-edit").pictures()
    assert (known[items[1].inputs["source"]] == PIXELS[1]).all()

    class Network:
        """The picture's mean colour, and words that point to red."""

        def __call__(self, images):
            return images.reshape(len(images), -1, 3).mean(1) / 255

        def texts(self, texts):
            return np.array([[1.0, 0, 0] if text == "after" else [0.0, 0, 0] for text in texts])

    metric = ClipDirection(extractor="clip-vit-b-32")
    context = Context(device="cpu", _networks={"clip-vit-b-32": Network()})
    redder = PIXELS.copy()
    redder[1, ..., 0] = 255
    found = metric.measure(batch_of("emu-edit", redder), context)
    assert found.tolist() == pytest.approx([0, 100])


RUBRICS = {kind: f"{kind}: <edit_prompt> Rate it." for kind in published_edits.IMGEDIT_KINDS}


def write_imgedit(folder, rubrics=RUBRICS, **changes):
    place = folder / published_edits.IMGEDIT
    (place / "animal").mkdir(parents=True, exist_ok=True)
    entries = {}
    for n, (kind, pixels) in enumerate(zip(("add", "style"), PIXELS, strict=True)):
        (place / "animal" / f"{n}.png").write_bytes(png(pixels))
        entries[str(n)] = {"id": f"animal/{n}.png", "prompt": f"edit {n}", "edit_type": kind}
    entries["0"] |= changes
    (place / "singleturn.json").write_text(json.dumps(entries))
    (place / "judge_prompt.json").write_text(json.dumps(rubrics))


def test_imgedit(data):
    write_imgedit(data)
    suite = get_suite("imgedit")
    assert [item.inputs["instruction"] for item in suite.items()] == ["edit 0", "edit 1"]

    class Judge:
        """Rates by the kind of edit, and cannot rate styles."""

        def reply(self, images, question, limit):
            source, image = images
            assert (source != image).any() and "<edit_prompt>" not in question
            kind, rest = question.split(": ", 1)
            assert rest.endswith("Rate it.")
            said = "Brief reasoning: 9 of 10.\nPrompt Compliance: 2\nSeamless: 3\nDetails: 5\n"
            return said if kind == "add" else "I cannot rate this: sorry."

    context = Context("cpu", suite.pictures(), _networks={"imgedit-judge": Judge()})
    metric = ImgEditScore()
    values = metric.measure(batch_of("imgedit", 255 - PIXELS), context)
    found = metric.score(values, None)
    assert found.value == 3.33 and found.details == {"add": 3.33, "not rated": 1}
    nothing = metric.score(values[1:], None)
    assert nothing.value == 0 and nothing.details == {"not rated": 1}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Prompt Compliance: 1\nVisual Seamlessness: 4\nDetail: 4", 3.0),
        ("  a: 5  \nb: 4", 4.5),
        ("a: 0\nb: 6\nc: 10\nd: ²", None),  # no rating of this scale
        ("a: 3: 4\n3", None),
        ("", None),
    ],
)
def test_ratings_are_the_numbers_that_end_a_line(reply, expected):
    assert rating(reply) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "../../../secret.png"}, "outside its folder"),
        ({"edit_type": "melt"}, "not one of ImgEdit-Bench"),
        ({"prompt": ""}, "not one of ImgEdit-Bench"),
    ],
)
def test_bad_imgedit_files_are_refused(data, changes, message):
    write_imgedit(data, **changes)
    with pytest.raises(VarSpacesError, match=message):
        get_suite("imgedit").items()


def test_a_rubric_for_every_kind_of_edit(data):
    write_imgedit(data, rubrics={**RUBRICS, "style": 3})
    with pytest.raises(VarSpacesError, match="no text for style"):
        published_edits.imgedit_rubrics()
