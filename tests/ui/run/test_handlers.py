"""What the page does, without the page."""

from __future__ import annotations

import gc

import pytest

from tests.searching import ON
from tests.ui.parts import cost_of, stage_of
from var_spaces import RunSpec
from var_spaces.cache.kv import KVCache
from var_spaces.errors import VarSpacesError
from var_spaces.spec import save_png
from var_spaces.ui.app import build_app
from var_spaces.ui.form.form import Form
from var_spaces.ui.run import candidates, handlers
from var_spaces.zoo.cards import get_card

FORM = Form("generate")
pytestmark = pytest.mark.usefixtures("models")


def values(**changes) -> list:
    base = RunSpec(model="tiny-styled", inputs={"class": "cat", "style": "flat"}, seed=5)
    return FORM.values(base.replace(**changes))


def test_a_run_shows_every_scale_and_ends_with_its_record():
    views = list(handlers.run(FORM, values(count=2)))
    scales = get_card("tiny-styled").schedule.num_scales
    phases = [view.phase for view in views]
    assert phases[:2] == ["loading", "running"]
    assert phases[-1] == "done"
    assert sorted({len(view.scales) for view in views}) == list(range(scales + 1))
    last = views[-1]
    assert len(last.pictures) == len(last.images) == 2
    assert last.record.id == last.spec.id
    assert last.tokens == last.schedule.total
    assert last.peak_kv_bytes == last.scales[-1].kv_bytes > 0
    assert all(picture.startswith("data:image/png;base64,") for picture in last.pictures)


def test_a_search_shows_all_candidates_and_who_was_dropped():
    search = {"name": "tts-var", "sizes": (4, 3, 2, 2), "cluster_scales": (0,), **ON}
    search["resample_scales"] = (1, 2)
    view = list(handlers.run(FORM, values(count=2, decoding=search)))[-1]
    assert [scale.rows for scale in view.scales] == [8, 6, 4, 4]
    assert [len(scale.choices) for scale in view.scales] == [2, 2, 2, 2]
    first = [scale.choices[0] for scale in view.scales]
    assert [choice.why for choice in first] == ["clusters", "resampling", "resampling", "best"]
    assert [len(choice.pictures) for choice in first] == [4, 3, 2, 2]
    assert [sum(choice.times) for choice in first] == [3, 2, 2, 1]
    text, best = stage_of(view), first[-1]
    for k, choice in enumerate(first):
        for n, times in enumerate(choice.times):
            said = ("dropped", "goes on", "goes on ×2")[times]
            reward = f", reward {choice.rewards[n]:.2f}" if choice.rewards else ""
            assert f'alt="Candidate {n + 1} after scale {k + 1}: {said}{reward}"' in text
    spent = (4 * 1 + 3 * 4 + 2 * 9 + 2 * 16) / (1 + 4 + 9 + 16)
    assert f"So far {spent:.2f} times the tokens" in text
    told = candidates.table(view)
    assert told.count("<tr>") == 1 + 2 * 4
    winner = best.times.index(1)
    assert f"<td>best</td><td>{winner + 1} ({max(best.rewards):.2f})</td>" in told


def test_without_a_search_there_are_no_candidates():
    *_, view = handlers.run(FORM, values())
    assert candidates.strip(view) == candidates.table(view) == ""


def test_what_the_cache_kept_is_shown_if_it_dropped_anything():
    for cache, shown in ((1.0, False), (0.2, True)):
        policy = {"name": "sliding-window", "budget": cache}
        view = list(handlers.run(FORM, values(cache=policy)))[-1]
        assert bool(view.kept) == shown
        assert ("Tokens kept" in cost_of(view)) == shown
    assert not list(handlers.run(FORM, values()))[-1].kept


def test_equal_values_give_equal_pictures():
    first, second = (list(handlers.run(FORM, values()))[-1] for _ in range(2))
    assert first.pictures == second.pictures


def caches() -> int:
    """KV caches that are alive in this process."""
    gc.collect()
    return sum(type(found) is KVCache for found in gc.get_objects())


def test_closing_a_run_frees_what_it_held():
    before = caches()
    run = handlers.run(FORM, values())
    while len(next(run).scales) < 2:
        pass
    assert caches() > before
    run.close()
    assert caches() == before


def test_refusals_come_as_a_view_before_any_work():
    (view,) = handlers.run(FORM, values(inputs={"class": "cta"}))
    assert view.phase == "failed"
    assert "Did you mean 'cat'?" in view.message
    assert view.spec is None


def test_errors_of_ours_tell_the_visitor_nothing(monkeypatch, caplog):
    def broken(spec, images, observe):
        raise RuntimeError("secret path /srv/private")
        yield

    monkeypatch.setattr(handlers.api, "stream", broken)
    *_, view = handlers.run(FORM, values())
    assert view.phase == "failed"
    assert view.message == handlers.UNEXPECTED
    assert "secret path" in caplog.text


def test_restore_reads_the_picture_that_was_saved(tmp_path):
    *_, view = handlers.run(FORM, values(seed=2**63 - 1))
    path = tmp_path / "picture.png"
    path.write_bytes(save_png(view.images[0], view.spec))
    assert handlers.restore(FORM, path) == view.spec
    assert FORM.spec(FORM.values(handlers.restore(FORM, path))) == view.spec


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n", "cut"),
        (b"no picture", "JSON"),
        (b"", "JSON"),
        (b'{"model": "tiny-styled", "sed": 3}', "Did you mean 'seed'?"),
        (b'{"model": "nope"}', "Unknown model 'nope'"),
        (b'{"model": "tiny-styled", "inputs": {"class": "../../etc"}}', "has no class"),
        (b'{"model": "tiny-styled", "schedule": [[1, 1], [2, 2]]}', "own schedule"),
        (b"[" * 5000, "nested deeper"),
    ],
)
def test_restore_trusts_nothing(tmp_path, data, message):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(VarSpacesError) as error:
        handlers.restore(FORM, path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_restore_refuses_other_tasks(tmp_path):
    spec = RunSpec(
        task="edit",
        model="tiny-styled",
        inputs={"source": "0" * 64, "rectangle": [0, 0, 0.5, 0.5]},
    )
    spec.to_file(tmp_path / "edit.json")
    with pytest.raises(VarSpacesError, match="made by the task 'edit'"):
        handlers.restore(FORM, tmp_path / "edit.json")


def test_no_model_is_a_page_too(monkeypatch, tmp_path):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path))
    assert handlers.first_model("generate") is None
    assert handlers.empty(None).schedule is None
    parts = {
        part["props"].get("elem_id"): part["props"] for part in build_app().config["components"]
    }
    assert parts["generate-go"]["interactive"] is False
    assert "No model yet" in parts["generate-status"]["value"]
