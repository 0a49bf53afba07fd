"""The first view stays light: what a visitor gets before anything is opened."""

from __future__ import annotations

import httpx

MOST_COMPONENTS, MOST_EVENTS, MOST_BYTES = 120, 60, 200_000


def test_the_first_view_is_light(served):
    config = httpx.get(f"{served}config", params={"page": ""}).json()
    assert len(config["components"]) <= MOST_COMPONENTS
    assert len(config["dependencies"]) <= MOST_EVENTS
    assert len(httpx.get(served).content) <= MOST_BYTES


def test_pictures_and_words_are_fetched_from_here_and_kept(served):
    for path in ("gallery/classes.webp", "words/zh.json"):
        answer = httpx.get(served + path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    for path in ("gallery/index.json", "gallery/..%2Fdraw.py", "words/en.json"):
        assert httpx.get(served + path).status_code == 404
