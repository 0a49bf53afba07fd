"""Top-k / top-p filter, temperature after filtering, and the soft path, against the reference."""

import pytest
import torch

from var_spaces.decoding.sampling.top_k_top_p import filter_top_k_top_p, smooth_weights


@pytest.mark.golden("var_sampler")
def test_filter_and_distribution(golden):
    tensors, atol = golden.tensors, golden.spec["tolerance"]["float_atol"]
    for case in golden.spec["config"]["cases"]:
        number = case["case"]
        filtered = filter_top_k_top_p(tensors["in/logits"], case["top_k"], case["top_p"])
        want = tensors[f"out/filtered/{number}"]
        assert torch.equal(filtered == -torch.inf, want == -torch.inf), case
        assert torch.equal(filtered, want), case
        for temperature, name in ((1.0, "prob"), (1.1, "prob_temp1.1")):
            got = (filtered / temperature).softmax(-1)
            torch.testing.assert_close(got, tensors[f"out/{name}/{number}"], atol=atol, rtol=0)


@pytest.mark.golden("var_sampler")
def test_ties_at_the_threshold_all_stay(golden):
    top_k = golden.spec["config"]["tie_top_k"]
    filtered = filter_top_k_top_p(golden.tensors["in/tie_logits"], top_k)
    assert torch.equal(filtered, golden.tensors["out/tie_filtered"])


@pytest.mark.golden("var_sampler")
def test_smooth_path(golden):
    tensors, case = golden.tensors, golden.spec["config"]["gumbel"]
    atol = golden.spec["tolerance"]["float_atol"]
    logits = filter_top_k_top_p(tensors["in/logits"], case["top_k"], case["top_p"])
    assert torch.equal(logits, tensors["out/gumbel_filtered"])
    for row in case["scales"]:
        weights = smooth_weights(logits, -tensors["in/exp_noise"].log(), row["ratio"])
        want = tensors[f"out/gumbel_soft/{row['scale']}"]
        torch.testing.assert_close(weights, want, atol=atol, rtol=0)
        want = tensors[f"out/gumbel_embed/{row['scale']}"]
        torch.testing.assert_close(weights @ tensors["in/codebook"], want, atol=atol, rtol=0)
