"""A quarter of an hour on a GPU: tests, trained models, and how fast everything is.

    python -m benchmarks.gpu --minutes 15 --out results

In order of value: the tests that need CUDA and those of conformance, the embedded models by their
``-gpu`` recipes (half of the time, the text model first), then latency, throughput and memory.
Every step has an end and is skipped when too little time is left; a repeated command goes on where
the last one stopped. Out come at most seven files of 16 MiB with the weights, one of numbers and
one page. The machine needs torch, transformers and what they bring along, and no network.
"""
