"""Atlas, scene records and renderer, on the real atlas."""

from __future__ import annotations

import colorsys
import json
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from var_spaces.errors import UnknownName, VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import pack, unpack
from var_spaces.training.data.index import CORE_64, default_folder, read_index
from var_spaces.training.data.palette import BACKGROUNDS, HUES, INKS
from var_spaces.training.data.render import render, tint
from var_spaces.training.data.scene import Object, Scene

CONCEPTS = ("red apple", "bus", "owl", "Tokyo tower")
COLOURED = ("soft", "blob", "glossy", "flat", "round")


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


def pixels(image: torch.Tensor) -> torch.Tensor:
    """(3, H, W) in [-1, 1] -> (H, W, 3) whole numbers 0..255."""
    return ((image + 1) * 127.5).round().long().permute(1, 2, 0)


fractions = st.floats(0.0, 1.0, allow_nan=False, width=32)
coloured = st.builds(
    Object,
    concept=st.sampled_from(CONCEPTS),
    style=st.sampled_from(COLOURED),
    cx=fractions,
    cy=fractions,
    size=st.floats(0.125, 1.5, width=32),
    flip=st.booleans(),
    tint=st.none() | st.sampled_from(list(HUES)),
)
inked = st.builds(
    Object,
    concept=st.sampled_from(CONCEPTS),
    style=st.just("ink"),
    cx=fractions,
    cy=fractions,
    ink=st.none() | st.from_regex(r"#[0-9a-f]{6}", fullmatch=True),
)
colour = st.sampled_from(list(BACKGROUNDS))
scenes = st.builds(
    Scene,
    background=colour | st.tuples(colour, colour),
    objects=st.lists(coloured | inked, max_size=5).map(tuple),
)


# Atlas


def test_counts(atlas: Atlas) -> None:
    assert len(atlas.concepts) == 443
    assert atlas.sprites.shape == (2971, 4, 64, 64) and atlas.sprites.dtype == torch.uint8
    held = {word: int((atlas.table[:, s] >= 0).sum()) for s, word in enumerate(atlas.styles)}
    assert held == {**dict.fromkeys((*COLOURED, "ink"), 443), "fox": 313}
    assert sorted(atlas.table[atlas.table >= 0].tolist()) == list(range(2971))
    assert tuple(atlas.concepts[c].name for c in atlas.core64) == CORE_64
    assert tuple(atlas.styles[s] for s in atlas.easy_styles) == COLOURED
    groups = [concept.group for concept in atlas.concepts]
    assert {group: groups.count(group) for group in groups} == {
        "travel-places": 123,
        "objects": 96,
        "animals-nature": 94,
        "food-drink": 75,
        "activities": 55,
    }


def test_sprites_show_something_and_ink_is_one_colour(atlas: Atlas) -> None:
    alpha = atlas.sprites[:, 3]
    assert (alpha.amax((1, 2)) > 200).all()
    assert ((alpha > 127).float().mean((1, 2)) > 0.01).all()
    ink = atlas.sprites[atlas.table[:, atlas.style_id("ink")]]
    solid = ink[:, :3].permute(0, 2, 3, 1)[ink[:, 3] == 255]
    assert ((solid.int() - 0x22).abs() <= 1).all()  # blended edges may round by one


def test_names_are_found_or_suggested(atlas: Atlas) -> None:
    assert atlas.concepts[atlas.concept_id("Red Apple")].name == "red apple"
    with pytest.raises(UnknownName, match="Did you mean 'red apple'"):
        atlas.concept_id("red aple")
    with pytest.raises(UnknownName, match="Did you mean 'glossy'"):
        atlas.style_id("glosy")


def test_damaged_files_are_refused(tmp_path) -> None:
    for name in ("atlas.webp", "index.json"):
        shutil.copy(default_folder() / name, tmp_path / name)
    image = tmp_path / "atlas.webp"
    content = bytearray(image.read_bytes())
    content[1000] ^= 1
    image.write_bytes(bytes(content))
    with pytest.raises(VarSpacesError, match=r"^atlas\.webp is damaged .* restore both files"):
        Atlas.load(tmp_path)
    image.unlink()
    with pytest.raises(VarSpacesError, match=r"No atlas\.webp"):
        Atlas.load(tmp_path)
    index = tmp_path / "index.json"
    for text, message in (
        ("{", "not valid JSON"),
        ("[]", "format"),
        ('{"format": 9}', "format 9, expected 1"),
        ('{"format": 1}', "lacks"),
    ):
        index.write_text(text)
        with pytest.raises(VarSpacesError, match=message):
            Atlas.load(tmp_path)
    index.unlink()
    with pytest.raises(VarSpacesError, match="build_atlas"):
        Atlas.load(tmp_path)


def test_names_can_be_listed_without_torch() -> None:
    code = (
        "import sys\n"
        "from var_spaces.training.data.index import read_index\n"
        "assert len(read_index().concepts) == 443\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)\n"
    )
    root = default_folder().parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_index_ids(atlas: Atlas) -> None:
    index = read_index()
    assert index.concept_id("owl") == atlas.concept_id("owl")
    assert index.style_id("ink") == atlas.style_id("ink")
    assert {style.licence for style in index.styles} == {"Apache-2.0", "MIT", "CC-BY-4.0"}


# Records


@given(scenes)
def test_json_round_trip(scene: Scene) -> None:
    text = scene.to_json()
    assert Scene.from_json(text) == scene
    assert Scene.from_json(text).to_json() == text
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "lacks the field 'background'"),
        ('{"background":"white","colour":1}', "no field 'colour'"),
        ('{"background":"whit"}', "Did you mean 'white'"),
        ('{"background":["red","blue","red"]}', "one name or two"),
        ('{"background":7}', "one name or two"),
        ('{"background":"white","objects":{}}', "must be a list"),
        ('{"background":"white","objects":[{"style":"flat"}]}', "lacks the field 'concept'"),
        ('{"background":"white","objects":[{"concept":"owl","style":"flat","z":1}]}', "'z'"),
        ('{"background":"white","objects":[{"concept":"owl","style":1}]}', "style must be"),
        ('{"background":"white","objects":[{"concept":"owl","style":"flat","cx":"a"}]}', "number"),
        ('{"background":"white","objects":[{"concept":"owl","style":"flat","cx":NaN}]}', "number"),
        ('{"background":"white","objects":[{"concept":"owl","style":"flat","size":0}]}', "above 0"),
        ('{"background":"white","objects":[{"concept":"owl","style":"flat","size":3}]}', "allowed"),
        ('{"background":"white","objects":[{"concept":"owl","style":"flat","flip":1}]}', "flip"),
        (
            '{"background":"white","objects":[{"concept":"owl","style":"flat","tint":"bleu"}]}',
            "blue",
        ),
        (
            '{"background":"white","objects":[{"concept":"owl","style":"ink","ink":"red"}]}',
            "#1a2b3c",
        ),
    ],
)
def test_bad_records_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(VarSpacesError, match=message) as caught:
        Scene.from_json(text)
    assert "\n" not in str(caught.value)


def test_too_many_objects() -> None:
    with pytest.raises(VarSpacesError, match="at most 5"):
        Scene("white", (Object("owl", "flat"),) * 6)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Object("owll", "flat"), "Did you mean 'owl'"),
        (Object("owl", "plane"), "No style named"),
        (Object("owl", "fox"), "no drawing of 'owl'"),
        (Object("owl", "ink", tint="red"), "set ink instead"),
        (Object("owl", "flat", ink="#000000"), "set tint instead"),
    ],
)
def test_scenes_the_atlas_cannot_draw(atlas: Atlas, item: Object, message: str) -> None:
    with pytest.raises(VarSpacesError, match=message):
        pack(atlas, [Scene("white", (item,))])


def test_slots_must_suffice(atlas: Atlas) -> None:
    with pytest.raises(VarSpacesError, match="has 2 objects, the batch has 1"):
        pack(atlas, [Scene("white", (Object("owl", "flat"),) * 2)], slots=1)


# Pixels


@settings(max_examples=25, deadline=None)
@given(st.lists(scenes, min_size=1, max_size=4), st.sampled_from([16, 64]))
def test_an_image_depends_on_its_record_only(many: list[Scene], size: int) -> None:
    atlas = _ATLAS()
    together = render(atlas, pack(atlas, many), size)
    assert together.shape == (len(many), 3, size, size) and together.dtype == torch.float32
    assert together.min() >= -1 and together.max() <= 1
    for row, scene in enumerate(many):
        assert torch.equal(render(atlas, pack(atlas, [scene], slots=5), size)[0], together[row])


@settings(max_examples=25, deadline=None)
@given(st.lists(scenes, min_size=1, max_size=3))
def test_unpack_inverts_pack(many: list[Scene]) -> None:
    atlas = _ATLAS()
    batch = pack(atlas, many)
    again = pack(atlas, unpack(atlas, batch), batch.slots)
    for field in fields(batch):
        assert torch.equal(getattr(batch, field.name), getattr(again, field.name)), field.name


_loaded: list[Atlas] = []


def _ATLAS() -> Atlas:
    """One atlas for the property tests, which may not take a fixture of narrower scope."""
    if not _loaded:
        _loaded.append(Atlas.load())
    return _loaded[0]


def test_plain_background_is_exactly_the_named_colour(atlas: Atlas) -> None:
    item = Object("bus", "flat", cx=0.25, cy=0.25, size=0.4)
    images = render(atlas, pack(atlas, [Scene(name, (item,)) for name in BACKGROUNDS]))
    for image, rgb in zip(images, BACKGROUNDS.values(), strict=True):
        free = pixels(image)[32:].reshape(-1, 3)
        assert (free == torch.tensor(rgb)).all()
        assert (pixels(image)[:32, :32] != torch.tensor(rgb)).any()


def test_gradient_runs_from_top_to_bottom(atlas: Atlas) -> None:
    image = pixels(render(atlas, pack(atlas, [Scene(("white", "navy"))]))[0])
    assert (image == image[:, :1]).all()
    assert (image[1:] <= image[:-1]).all()
    assert (image[0, 0] - torch.tensor(BACKGROUNDS["white"])).abs().max() <= 2
    assert (image[-1, 0] - torch.tensor(BACKGROUNDS["navy"])).abs().max() <= 2


def test_full_size_sprite_is_the_sprite(atlas: Atlas) -> None:
    sprite = atlas.sprites[atlas.table[atlas.concept_id("owl"), atlas.style_id("flat")]]
    image = render(atlas, pack(atlas, [Scene("white", (Object("owl", "flat", size=1.0),))]))[0]
    alpha = sprite[3:].float() / 255
    expected = sprite[:3].float() * alpha + 255 * (1 - alpha)
    assert (pixels(image).permute(2, 0, 1) - expected).abs().max() <= 1


def test_flip_mirrors(atlas: Atlas) -> None:
    plain, mirrored = (Scene("sky", (Object("bus", "soft", flip=flip),)) for flip in (False, True))
    images = render(atlas, pack(atlas, [plain, mirrored]))
    assert torch.allclose(images[0].flip(-1), images[1], atol=1e-4)
    assert (images[0] - images[1]).abs().max() > 0.5


def test_later_objects_cover_earlier_ones(atlas: Atlas) -> None:
    pizza, bus = Object("pizza", "flat"), Object("bus", "flat")
    both, alone = render(atlas, pack(atlas, [Scene("white", (pizza, bus)), Scene("white", (bus,))]))
    sprite = atlas.sprites[atlas.table[atlas.concept_id("bus"), atlas.style_id("flat")]]
    assert sprite[3, 32, 32] == 255
    assert torch.equal(both[:, 32, 32], alone[:, 32, 32])
    assert not torch.equal(both, alone)


@pytest.mark.parametrize("size", [0.12, 0.2, 0.36, 0.5, 0.59, 0.61])
def test_shrinking_keeps_the_mass_of_the_sprite(atlas: Atlas, size: float) -> None:
    """Without a prefilter thin strokes would be missed or counted twice."""
    names = ["spider web", "bicycle", "palm tree", "guitar"]
    records = [Scene("white", (Object(name, "ink", size=size),)) for name in names]
    darkness = (1 - render(atlas, pack(atlas, records))).sum((1, 2, 3))
    full = [Scene("white", (Object(name, "ink", size=1.0),)) for name in names]
    expected = (1 - render(atlas, pack(atlas, full))).sum((1, 2, 3)) * size**2
    assert torch.allclose(darkness, expected, rtol=0.06)


def test_tint_sets_hue_keeps_value_and_raises_saturation() -> None:
    generator = torch.Generator().manual_seed(0)
    colours = torch.randint(0, 256, (len(HUES), 3, 8, 8), generator=generator).float()
    colours[:, :, 0] = 180.0  # grey takes the tint too
    tinted = tint(colours, torch.arange(len(HUES)))
    for before, after, degrees in zip(colours, tinted, HUES.values(), strict=True):
        for old, new in zip(before.flatten(1).T.tolist(), after.flatten(1).T.tolist(), strict=True):
            _, s0, v0 = colorsys.rgb_to_hsv(*old)
            h1, s1, v1 = colorsys.rgb_to_hsv(*new)
            assert abs(v0 - v1) < 1e-3 and abs(s1 - max(s0, 0.5)) < 1e-3
            assert abs((h1 * 360 - degrees + 180) % 360 - 180) < 0.1


def test_ink_takes_any_colour(atlas: Atlas) -> None:
    item = Object("key", "ink", size=1.0, ink="#1a6b3c")
    usual = Object("key", "ink", size=1.0)
    coloured, black = render(atlas, pack(atlas, [Scene("white", (x,)) for x in (item, usual)]))
    sprite = atlas.sprites[atlas.table[atlas.concept_id("key"), atlas.style_id("ink")]]
    solid = sprite[3] == 255
    assert (pixels(coloured)[solid] == torch.tensor([0x1A, 0x6B, 0x3C])).all()
    assert (pixels(black)[solid] == torch.tensor(next(iter(INKS.values())))).all()
