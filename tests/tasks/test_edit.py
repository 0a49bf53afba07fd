import numpy as np
import pytest
import torch
from PIL import Image

import var_spaces
from tests.searching import ON
from var_spaces import methods
from var_spaces.decoding.substitution import LatentBlending, TokenSubstitution, keep_masks
from var_spaces.errors import VarSpacesError
from var_spaces.events import ImageReady, ScaleDone
from var_spaces.pictures import digest
from var_spaces.schedule import ScaleSchedule
from var_spaces.tasks.region import rectangle_mask

SOURCE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
HASH = "ab" * 32
HALF = (0.0, 0.5, 1.0, 1.0)  # the right half


def task(**fields):
    return methods.parse("task", {"name": "edit", "source": HASH, **fields})


def run(**settings):
    return list(
        var_spaces.stream(model="tiny-var", task="edit", image=SOURCE, previews=False, **settings)
    )


def source_ids():
    vq = var_spaces.load("tiny-tokenizer").tokenizer
    with torch.no_grad():
        return vq.encode(torch.tensor(SOURCE).permute(2, 0, 1)[None] / 127.5 - 1)


def test_in_painting_keeps_tokens_outside_the_region(use_tiny_models):
    events = run(rectangle=HALF, seed=3)
    ids = [event.ids for event in events if isinstance(event, ScaleDone)]
    source = source_ids()
    assert torch.equal(ids[0], source[0])  # one token: kept whatever the mask
    last, want = ids[-1].view(4, 4), source[-1].view(4, 4)
    assert torch.equal(last[:, :2], want[:, :2])
    assert not torch.equal(last[:, 2:], want[:, 2:])


def latents(**settings):
    """Latents after every scale, and ids, of an edit of the right half that keeps latents."""
    seen = {}

    def observe(what, scale, tensor):
        seen[what, scale] = tensor

    run(**{"rectangle": HALF, "seed": 3, "keeps": "latents", "observe": observe, **settings})
    return [[seen[what, scale] for scale in range(3)] for what in ("f_hat", "ids")]


def test_latents_of_the_source_stay_at_every_scale(use_tiny_models):
    """Exactly, which tokens do not give; and nobody gives the tokens that lead there."""
    vq = var_spaces.load("tiny-tokenizer").tokenizer
    pixels = torch.tensor(SOURCE).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        _, source = vq.encode_latents(pixels)
    found, ids = latents()
    for ours, theirs in zip(found, source, strict=True):
        torch.testing.assert_close(ours[..., :2], theirs[..., :2])
        assert not torch.isclose(ours[..., 2:], theirs[..., 2:]).all()
    assert not torch.equal(ids[0], source_ids()[0])
    by_tokens, _ = latents(keeps="tokens")
    assert not torch.isclose(by_tokens[-1][..., :2], source[-1][..., :2]).all()
    painted, _ = latents(mode="out-painting")
    torch.testing.assert_close(painted[-1][..., 2:], source[-1][..., 2:])


def test_two_models_and_searches_keep_latents_as_one_model_does(use_tiny_models):
    decoding = {"name": "collaborative", "refiner": "tiny-var", "drafted": 1}
    for one, other in zip(latents()[0], latents(decoding=decoding)[0], strict=True):
        assert torch.equal(one, other)
    plain = latents()[0][-1]
    found = latents(decoding={"name": "best-of-n", "candidates": 2, "reward": ON["reward"]})[0]
    torch.testing.assert_close(found[-1][..., :2], plain[..., :2].expand_as(found[-1][..., :2]))


def test_what_stays_came_later_and_changes_no_id():
    assert "keeps" not in methods.dump(task(rectangle=HALF, keeps="tokens"))
    found = task(rectangle=HALF, keeps="latents")
    assert methods.parse("task", methods.dump(found)) == found
    with pytest.raises(VarSpacesError, match="keeps"):
        task(rectangle=HALF, keeps="pixels")


def test_in_painting_by_two_models_keeps_the_same(use_tiny_models):
    """A drafter and a refiner that are one model paint what it paints alone."""
    decoding = {"name": "collaborative", "refiner": "tiny-var", "drafted": 1}
    pair, alone = run(rectangle=HALF, seed=3, decoding=decoding), run(rectangle=HALF, seed=3)
    drawn = [[e.ids for e in events if isinstance(e, ScaleDone)] for events in (pair, alone)]
    assert all(map(torch.equal, *drawn))
    assert (pair[-1].images[0] == alone[-1].images[0]).all()


def test_out_painting_is_the_complement(use_tiny_models):
    events = run(rectangle=HALF, seed=3, mode="out-painting")
    last = next(e for e in events if isinstance(e, ScaleDone) and e.scale == 2).ids.view(4, 4)
    want = source_ids()[-1].view(4, 4)
    assert torch.equal(last[:, 2:], want[:, 2:])
    assert not torch.equal(last[:, :2], want[:, :2])


def test_a_mask_says_the_same_as_a_rectangle(use_tiny_models):
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 255
    by_mask, by_rectangle = run(mask=mask, seed=1), run(rectangle=HALF, seed=1)
    assert (by_mask[-1].images[0] == by_rectangle[-1].images[0]).all()
    assert by_mask[0].spec.inputs["mask"] == digest(mask)
    by_image = run(mask=Image.fromarray(mask), seed=1)
    assert by_image[0].id == by_mask[0].id


def test_composite_puts_the_source_back_where_it_was_kept(use_tiny_models):
    plain, pasted = (run(rectangle=HALF, composite=value) for value in (False, True))
    before, after = plain[-1].images[0], pasted[-1].images[0]
    assert (after[:, :8] == SOURCE[:, :8]).all()
    assert (after[:, 8:] == before[:, 8:]).all()
    assert not (before[:, :8] == SOURCE[:, :8]).all()
    ready = next(event for event in pasted if isinstance(event, ImageReady))
    assert (ready.image == after).all()


def test_the_class_matters_in_the_region(use_tiny_models):
    ids = [
        run(rectangle=HALF, class_=name, guidance=6.0)[-1].record.token_sha256 for name in (None, 2)
    ]
    assert ids[0] != ids[1]


def test_a_spec_runs_again_with_its_pictures(use_tiny_models):
    done = run(rectangle=HALF, seed=9)[-1]
    spec = done.record.spec
    again = var_spaces.generate(spec, images={digest(SOURCE): SOURCE})
    assert (np.asarray(again[0]) == done.images[0]).all()
    with pytest.raises(VarSpacesError, match="is missing: hand it in again"):
        var_spaces.stream(spec)
    with pytest.raises(VarSpacesError, match="is not the one its hash"):
        var_spaces.stream(spec, images={digest(SOURCE): SOURCE[::-1]})


def test_generation_takes_no_pictures(use_tiny_models):
    with pytest.raises(VarSpacesError, match="takes no pictures"):
        var_spaces.stream(model="tiny-var", images={HASH: SOURCE})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "There is no region yet: mark it in a mask"),
        ({"mask": HASH, "rectangle": HALF}, "There are both a mask and a rectangle"),
        ({"rectangle": (0, 0, 1, 2)}, "fractions of the picture"),
        ({"rectangle": (0.5, 0, 0.5, 1)}, "not empty"),
        ({"rectangle": (0, 0, 1)}, "rectangle = (0, 0, 1) must have 4 values."),
        ({"rectangle": (0, 0, 1, 1, 1)}, "must have at most 4 values."),
        ({"rectangle": "0,0,1,1"}, "rectangle = '0,0,1,1' must be a list."),
        ({"rectangle": HALF, "class": 3.5}, "class = 3.5 must be a whole number or text."),
        ({"rectangle": HALF, "source": None}, "There is no picture yet: hand one in."),
        ({"rectangle": HALF, "mode": "inpaint"}, "mode = 'inpaint'"),
        ({"rectangle": HALF, "source": "../../x"}, "source"),
        ({"mask": "x"}, "mask"),
    ],
)
def test_bad_inputs_are_one_line(fields, message):
    with pytest.raises(VarSpacesError) as error:
        task(**fields)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_region_smaller_than_a_token_is_refused(use_tiny_models):
    with pytest.raises(VarSpacesError, match="make it larger"):
        run(rectangle=(0.0, 0.0, 0.1, 0.1))


@pytest.mark.parametrize(
    ("picture", "mask", "refused"),
    [
        ((17, 2), (17, 2), "The picture is 2x17 pixels"),
        ((16, 16), (17, 2), "The mask is 2x17 pixels"),
        ((16, 16), (16, 16), ""),
    ],
)
def test_a_mask_of_the_size_of_its_picture_is_not_held_against_its_limits(picture, mask, refused):
    """Whoever hands them in, and in whatever order."""
    edit = methods.get("task", "edit")
    given = {"mask": np.ones(mask, bool), "source": np.zeros((*picture, 3), np.uint8)}
    if refused:
        with pytest.raises(VarSpacesError, match=refused):
            edit.take(given)
    else:
        hashes, pixels = edit.take(given)
        found = edit(**hashes).read_pictures(pixels)
        assert {name: found[key].shape[:2] for name, key in hashes.items()} == {
            "mask": mask,
            "source": picture,
        }


def test_rectangles_round_half_to_even():
    mask = rectangle_mask((0.5 / 8, 1.5 / 8, 2.5 / 8, 1), 8, 8)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (0, 1)  # round(0.5) = 0, round(2.5) = 2
    assert (columns.min(), columns.max()) == (2, 7)


def test_masks_may_differ_per_image():
    schedule = ScaleSchedule.square((1, 2, 4))
    masks = torch.zeros(2, 4, 4)
    masks[1] = 1
    keep = keep_masks(masks, schedule)
    assert [k.shape for k in keep] == [(2, 1), (2, 4), (2, 16)]
    assert keep[0].all() and keep[2][1].all() and not keep[2][0].any()

    class Codes:
        def embed(self, ids):
            return ids[..., None].float()

    source = [torch.full((1, n), 9) for n in schedule.lengths]
    swap = TokenSubstitution(Codes(), source, masks, schedule)
    ids, codes = swap(2, torch.zeros(3, 16, dtype=torch.int64), torch.zeros(3, 16, 1), [1, 0, 1])
    assert ids[:, 0].tolist() == [9, 0, 9]
    assert codes[:, 0, 0].tolist() == [9.0, 0.0, 9.0]

    class Sums(Codes):
        def new_latent(self, batch, schedule, device):
            return torch.zeros(batch, 1, 4, 4)

        def accumulate(self, f_hat, codes, scale, schedule):
            return f_hat + codes.mean()

    blend = LatentBlending(Sums(), source, masks, schedule)
    mixed = blend(1, torch.zeros(3, 1, 4, 4), [1, 0, 1])
    assert mixed.flatten(1).unique(dim=1).tolist() == [[18.0], [0.0], [18.0]]
