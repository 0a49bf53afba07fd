import pytest

from var_spaces.decoding.base import Sampling
from var_spaces.decoding.compat import check_combination
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.decoding.strategy import DecodingStrategy
from var_spaces.errors import VarSpacesError

VAR = {"var-x": ("class-labels", "kv-cache"), "vq-x": ("soft-codes",)}


class Search(DecodingStrategy):
    name, title = "search", "For tests"

    @property
    def offers(self):
        return frozenset({"several-rows"})

    def session(self, setup, images):
        raise NotImplementedError


class OneRow(Sampling):
    name, title = "one-row", "For tests"

    @property
    def excludes(self):
        return {"several-rows": "it draws for one row only"}

    def sample(self, logits, gumbel, scale, schedule):
        raise NotImplementedError


def test_what_fits_passes():
    check_combination(VAR, [PlainDecoding(), TopKTopP(smooth=True)])
    check_combination(VAR, [PlainDecoding(), OneRow()])


def test_a_missing_capability_is_refused_with_the_reason():
    with pytest.raises(VarSpacesError) as error:
        check_combination({"bits": ("kv-cache",)}, [PlainDecoding(), TopKTopP(smooth=True)])
    assert "sampling 'top-k-top-p'" in str(error.value)
    assert "smooth sampling mixes code vectors" in str(error.value)
    check_combination({"bits": ("kv-cache",)}, [PlainDecoding(), TopKTopP(smooth=False)])


def test_an_excluded_capability_is_refused_with_the_reason():
    with pytest.raises(VarSpacesError, match="'one-row' does not work with decoding 'search': it"):
        check_combination(VAR, [Search(), OneRow()])
