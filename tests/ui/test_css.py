"""The page's own rules reach what they are for."""

from __future__ import annotations

import re

from var_spaces.ui.theme import css

MEDIA = re.compile(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)[^{}]*\}")


def test_rules_of_small_screens_and_of_quiet_ones_reach_the_page():
    """Gradio puts the page itself before every rule inside @media, and nothing lies in itself."""
    plain = re.sub(r"/\*.*?\*/", "", css(), flags=re.DOTALL)
    inside = [s.strip() for block in MEDIA.findall(plain) for s in re.findall(r"([^{}]+)\{", block)]
    assert len(inside) > 20
    assert not [selectors for selectors in inside if ".gradio-container" in selectors]


def test_names_of_entries_are_not_broken_inside_their_words():
    rules = re.findall(r"([^{}]*\.vs-board[^{}]*)\{([^{}]*)\}", css())
    assert rules and not [rule for rule in rules if "anywhere" in rule[1] or "break-" in rule[1]]


def test_on_small_screens_pictures_that_are_compared_come_before_the_settings_of_their_columns():
    """And the one that draws the plot for them is shown instead of the other."""
    plain = re.sub(r"/\*.*?\*/", "", css(), flags=re.DOTALL)
    small = " ".join(MEDIA.findall(plain))
    rules = {
        name.strip(): rule
        for names, rule in re.findall(r"([^{}]+)\{([^{}]*)\}", small)
        for name in names.split(",")
    }
    assert "order: 1" in rules[".vs-settings"] and "order" not in rules[".vs-beside"]
    assert "display: none" in rules[".vs-pareto .vs-wide"]
    assert "display: block" in rules[".vs-pareto .vs-narrow"]
