"""CSD-VAR: weights of the scale groups, rectification and what sees the memory."""

from __future__ import annotations

import pytest
import torch

from tests.tiny import sides_of
from var_spaces.adapters.content_style_run import visible_slots
from var_spaces.adapters.rectification import principal_directions, projector, rectify
from var_spaces.cache.beside import scales_of_tokens
from var_spaces.errors import VarSpacesError
from var_spaces.training.losses.scale_groups import ScaleGroups, group_weights


@pytest.mark.golden("csdvar")
def test_weights_of_the_scale_groups(golden):
    config, tensors = golden.spec["config"], golden.tensors
    schedule = sides_of(config["pn"])
    paper = ScaleGroups(
        tuple(k - 1 for k in config["paper_style_scales_1based"]), schedule.num_scales
    )
    assert paper.content == tuple(k - 1 for k in config["paper_content_scales_1based"])
    code = ScaleGroups(tuple(config["code_style_scales_0based"]), schedule.num_scales)
    losses = []
    for name, groups, mean in (("code", code, "group"), ("paper", paper, "scale")):
        style = group_weights(schedule, groups.style, groups.content, config["alpha"], mean)
        content = group_weights(schedule, groups.content, mean=mean)
        torch.testing.assert_close(style, tensors[f"{name}_style_weight"], rtol=1e-12, atol=0)
        torch.testing.assert_close(content, tensors[f"{name}_content_weight"], rtol=1e-12, atol=0)
        losses += [(tensors["token_ce"] * weights).sum() for weights in (style, content)]
    torch.testing.assert_close(torch.stack(losses), tensors["losses"], rtol=1e-12, atol=0)


@pytest.mark.golden("csdvar")
def test_rectification(golden):
    tensors, rank = golden.tensors, golden.spec["config"]["svd_r"]
    projection = projector(principal_directions(tensors["variation_embeddings"], rank))
    torch.testing.assert_close(projection, tensors["projector"], rtol=0, atol=1e-5)
    torch.testing.assert_close(projection, projection.mT, rtol=0, atol=1e-6)
    torch.testing.assert_close(projection @ projection, projection, rtol=0, atol=1e-5)
    assert torch.linalg.matrix_rank(projection, atol=1e-3) == rank
    rows = rectify(tensors["style_embeddings"], projection)
    torch.testing.assert_close(rows, tensors["rectified"], rtol=0, atol=1e-5)
    assert (rows @ projection).abs().max() < 1e-5
    values = torch.linalg.svdvals(tensors["variation_embeddings"])
    torch.testing.assert_close(values, tensors["singular_values"], rtol=1e-5, atol=1e-5)


def test_directions_without_what_all_names_have_in_common():
    """Centred, a shift of all features moves nothing; else it is the first direction."""
    torch.manual_seed(0)
    names, shift = torch.randn(6, 8), 100 * torch.ones(8)
    plain, moved = (
        projector(principal_directions(rows, 2, center=True)) for rows in (names, names + shift)
    )
    torch.testing.assert_close(moved, plain, rtol=0, atol=1e-4)
    first = principal_directions(names + shift, 1)[0]
    assert (first @ shift).abs() > 0.99 * shift.norm()


def test_rank_is_bounded_by_the_names():
    with pytest.raises(VarSpacesError, match="span 3 directions: take 1 to 3"):
        principal_directions(torch.randn(3, 8), 4)


@pytest.mark.parametrize("style", [(), (0, 1, 2), (0, 3)])
def test_groups_are_not_empty(style):
    with pytest.raises(VarSpacesError, match="Style scales"):
        ScaleGroups(style, 3)


@pytest.mark.golden("csdvar")
@pytest.mark.parametrize("causal", [True, False])
def test_who_sees_the_memory(golden, causal):
    config = golden.spec["config"]
    schedule = sides_of(config["memory_demo_pn"])
    places = config["memory_scales_0based"]
    starts = torch.tensor(places).repeat_interleave(config["memory_slots"])
    every = range(schedule.num_scales)
    slots = visible_slots(schedule, every, starts, causal)
    own = scales_of_tokens(schedule, every, "cpu")
    tokens = own[:, None] >= own if causal else own[:, None] == own
    columns = []
    for k in every:
        columns += [slots[:, starts == k], tokens[:, own == k]]
    name = "memory_visible_ar" if causal else "memory_visible_nonar"
    assert torch.equal(torch.cat(columns, 1), golden.tensors[name].bool())
