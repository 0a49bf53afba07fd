"""Published networks that judge pictures, as tiny random ones: they detect and answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from leaderboard import published_edits
from leaderboard.extractors import imgedit_judge, mask2former
from leaderboard.extractors.base import get_extractor
from leaderboard.extractors.blip_vqa import REPOSITORY as BLIP
from leaderboard.extractors.qwen3_vl import REPOSITORY as QWEN
from leaderboard.metrics import imgedit as imgedit_metric
from leaderboard.metrics.base import Context
from leaderboard.metrics.dpg import Dpg
from leaderboard.metrics.geneval import GenEval
from leaderboard.metrics.imgedit import ImgEditScore
from leaderboard.metrics.soft_tifa import SoftTifaAm, SoftTifaGm, spellings
from leaderboard.suites.base import get_suite
from tests.leaderboard.published import batch
from var_spaces.errors import VarSpacesError

CPU = torch.device("cpu")


@pytest.fixture
def context() -> Context:
    return Context(device=CPU)


@pytest.mark.usefixtures("clips")
def test_mask2former(networks, context, monkeypatch):
    networks.mask2former(mask2former.REPOSITORY, seen=16)
    dog = {"class": "dog", "count": 1}
    prompts = [
        {"tag": "single_object", "include": [dog]},
        {"tag": "single_object", "include": [{"class": "cat", "count": 1}]},
        {"tag": "counting", "include": [{"class": "dog", "count": 3}], "exclude": []},
        {"tag": "colors", "include": [{**dog, "color": "no colour"}]},
    ]
    drawn = batch([{"group": p["tag"], "metadata": p} for p in prompts])
    network = context.network(GenEval().uses)
    seen = network.detect(drawn.images[3], prompts[3])
    assert {one.name for one in seen} <= {"dog"} and seen
    assert all(one.colour in mask2former.COLOURS for one in seen)
    left, top, right, bottom = seen[0].box
    assert 0 <= left <= right <= 63 and 0 <= top <= bottom <= 63
    with monkeypatch.context() as patch:
        patch.setattr(mask2former, "LEAST", 1.1)
        assert network.detect(drawn.images[0], prompts[0]) == []  # nothing is sure enough
    values = GenEval().measure(drawn, context)
    assert values[:, 0].tolist()[:2] == [1, 0] and values[3, 0] == 0
    score = GenEval().score(values, None)
    assert score.details["single_object"] == 0.5 and score.details["colors"] == 0


@pytest.mark.parametrize(("says", "points"), [("yes", 100), ("no", 0)])
def test_blip(networks, context, says, points):
    networks.blip(BLIP, says)
    asked = [{"id": "1", "text": "is there a dog?", "parents": []},
             {"id": "2", "text": "is there a cat in the image?", "parents": ["1"]}]  # fmt: skip
    values = Dpg().measure(batch([{"questions": asked}] * 2), context)
    assert values.tolist() == [points, points]


GENEVAL_2 = {
    "prompt": "two dogs",
    "atom_count": 2,
    "vqa_list": [["How many dog in the image?", "two"], ["Is there a dog?", "Yes"]],
    "skills": ["count", "object"],
}


@pytest.fixture
def geneval_2(networks) -> Path:
    path = networks.data / "geneval2" / "geneval2_data.jsonl"
    path.parent.mkdir(parents=True)
    other = {**GENEVAL_2, "prompt": "a cat", "atom_count": 1, "skills": ["count", "unheard of"]}
    path.write_text("\n".join(map(json.dumps, (GENEVAL_2, other))) + "\n")
    return path


def test_soft_tifa(networks, context, geneval_2):
    """Its probabilities are those that generation itself begins with."""
    networks.qwen3_vl(QWEN)
    items = get_suite("geneval-2").items()
    drawn = batch([dict(item.facts) for item in items])
    network = context.network(SoftTifaGm().uses)

    def begins(image: np.ndarray, question: str, words: tuple[str, ...]) -> float:
        from PIL import Image

        content = [{"type": "image", "image": Image.fromarray(image)},
                   {"type": "text", "text": f"{question} Answer in one word."}]  # fmt: skip
        inputs = network.process.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True,
            return_dict=True, return_tensors="pt",
        )  # fmt: skip
        done = network.model.generate(
            **inputs, max_new_tokens=1, do_sample=False, output_scores=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        ids = network.process.tokenizer.convert_tokens_to_ids(list(words))
        return done.scores[0][0].float().softmax(0)[ids].sum().item()

    expected = [
        [
            begins(image, "How many dog in the image?", ("two", "Two", "2")),
            begins(image, "Is there a dog?", ("yes", "Yes")),
        ]
        for image in drawn.images
    ]
    assert expected[0] != expected[1]  # it looks at the image
    gm, am = (kind().measure(drawn, context) for kind in (SoftTifaGm, SoftTifaAm))
    assert gm[:, 0] == pytest.approx([100 * (a * b) ** 0.5 for a, b in expected], rel=1e-4)
    assert am[:, 0] == pytest.approx([50 * (a + b) for a, b in expected], rel=1e-4)
    by_prompt, by_part = SoftTifaGm().score(gm, None), SoftTifaAm().score(am, None)
    assert by_prompt.details == {"1 parts": pytest.approx(gm[1, 0]), "2 parts": gm[0, 0]}
    assert by_part.details == {
        "count": pytest.approx(50 * (expected[0][0] + expected[1][0]), rel=1e-4),
        "object": pytest.approx(100 * expected[0][1], rel=1e-4),
        "other": pytest.approx(100 * expected[1][1], rel=1e-4),
    }
    assert by_part.value == pytest.approx(am[:, 0].mean())


def test_imgedit_judge(networks, context, monkeypatch):
    """Source and edit reach it in this order, after the instruction, at the size it was taught."""
    monkeypatch.setattr(imgedit_metric, "LONGEST", 3)
    kinds = published_edits.IMGEDIT_KINDS
    place = networks.data / published_edits.IMGEDIT
    place.mkdir(parents=True)
    (place / "judge_prompt.json").write_text(json.dumps(dict.fromkeys(kinds, "is <edit_prompt> ?")))
    with pytest.raises(VarSpacesError, match="download it from"):
        get_extractor("imgedit-judge").weights_sha256()
    networks.qwen2_5_vl(imgedit_judge.FOLDER, says="Fit: 4\n")
    assert len(get_extractor("imgedit-judge").weights_sha256()) == 64
    drawn = batch([{"group": "add", "source": "s"}] * 2)
    asked = tuple(replace(item, inputs={"instruction": "a dog"}) for item in drawn.items)
    drawn = replace(drawn, items=asked)
    context.pictures = {"s": 255 - drawn.images[0]}
    metric = ImgEditScore()
    found = metric.score(metric.measure(drawn, context), None)
    assert found.value == 4 and found.details == {"add": 4, "not rated": 0}

    network = context.network(metric.uses)
    pair = [context.pictures["s"], drawn.images[0]]
    inputs = network._asked(pair, "is a dog ?", question_first=True)
    said = network.process.tokenizer.decode(inputs["input_ids"][0])
    assert said.index("a dog") < said.index("<|image_pad|>")
    patches = inputs["image_grid_thw"].prod(1).tolist()
    assert len(patches) == 2 and 56**2 * patches[0] >= imgedit_judge.SIZE["shortest_edge"]
    alone = [network._asked([image], "?")["pixel_values"] for image in pair]
    assert torch.equal(inputs["pixel_values"], torch.cat(alone))


def test_spellings():
    assert spellings("Yes") == spellings(" YES ") == ("yes", "Yes", " yes", " Yes")
    assert spellings("four") == ("four", "Four", " four", " Four", "4", " 4")


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", json.dumps({**GENEVAL_2, "skills": ["count"]}),
             json.dumps({**GENEVAL_2, "vqa_list": [], "skills": []})],
)  # fmt: skip
def test_a_damaged_file_of_prompts_is_refused(geneval_2, line):
    geneval_2.write_text(f"{json.dumps(GENEVAL_2)}\n{line}\n")
    with pytest.raises(VarSpacesError, match=r"geneval2_data\.jsonl") as caught:
        get_suite("geneval-2").items()
    assert "\n" not in str(caught.value) and "2" in str(caught.value)


def test_a_part_of_a_repository_is_not_enough(networks):
    with pytest.raises(VarSpacesError, match="hf download Qwen"):
        get_extractor("qwen3-vl-8b").weights_sha256()
    networks.qwen3_vl(QWEN)
    assert len(get_extractor("qwen3-vl-8b").weights_sha256()) == 64
    (networks.folder(QWEN) / "model.safetensors").unlink()
    with pytest.raises(VarSpacesError, match="as a whole"):
        get_extractor("qwen3-vl-8b").weights_sha256()
