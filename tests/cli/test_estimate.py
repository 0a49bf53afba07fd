"""``estimate``: numbers, flags of policies, refusals."""

from __future__ import annotations

import json


def test_table(run):
    code, out, _ = run("estimate", "--model", "tiny-var", "--memory", "1e9")
    assert code == 0
    assert "KV cache after 4x4" in out and out.endswith("fits.\n")
    assert "1.00 GB are free" in out


def test_json_and_flags_of_methods(run):
    arguments = ("estimate", "--model", "tiny-var", "--n", "2", "--cache", "full", "--json")
    guided = json.loads(run(*arguments)[1])
    plain = json.loads(run(*arguments, "--guidance-scale", "0")[1])
    assert [2 * size for size in plain["kv"]] == guided["kv"]
    assert guided["weights"].keys() == {"tiny-var", "tiny-tokenizer"}


def test_what_does_not_fit(run):
    out = run("estimate", "--model", "tiny-var", "--memory", "10")[1]
    assert "does not fit; what would: a smaller model" in out


def test_refusals(refused):
    assert "give --model" in refused("estimate")
    assert "is a tokenizer" in refused("estimate", "--model", "tiny-tokenizer")
    assert "allowed is 1 to 64" in refused("estimate", "--model", "tiny-var", "--n", "65")
    assert "choose float32" in refused("estimate", "--model", "tiny-var", "--dtype", "int3")
    assert "out of range" in refused("estimate", "--model", "tiny-var", "--guidance-scale", "21")
    masked = refused("estimate", "--model", "tiny-var", "--decoding", "masked")
    assert "decoding 'masked' does not work with model 'tiny-var'" in masked
