"""Pictures of runs are known to the session that handed them in, and bounded."""

from __future__ import annotations

import numpy as np

from var_spaces.ui.form.handed import Handed

PIXELS = np.zeros((4, 5, 3), np.uint8)  # 60 bytes


def test_a_session_gets_its_own_pictures_and_no_others():
    held = Handed()
    held.keep("mine", {"a": PIXELS})
    held.keep("", {"b": PIXELS})
    assert held.of("mine").keys() == {"a"}
    assert held.of("yours") == held.of("") == {}


def test_what_was_used_longest_ago_leaves_first():
    held = Handed(each=120, most=200)
    for key in "abac":
        held.keep("mine", {key: PIXELS})
    assert held.of("mine").keys() == {"a", "c"}
    held.keep("yours", {"d": PIXELS, "e": PIXELS})
    assert (list(held.of("mine")), list(held.of("yours"))) == (["c"], ["d", "e"])
    held.keep("mine", {"large": np.zeros(121, np.uint8)})
    assert not held.of("mine") and len(held.of("yours")) == 2
