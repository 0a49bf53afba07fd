"""Results in the formats of others: a CSV table, JSON, and ``.eval_results`` of Hub models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from leaderboard.csv_text import csv_text
from leaderboard.store.index import scores
from leaderboard.submissions.verdict import FLAGGED
from var_spaces.errors import VarSpacesError

PLAIN = (
    "id", "protocol", "model", "label", "cache", "decoding", "n", "device", "commit", "created",
    "verdict",
)  # fmt: skip
SCORE = ("title", "metric", "value", "low", "high", "better", "unit")


def to_csv(rows: Iterable[dict[str, Any]]) -> str:
    """One line per score: the columns of a result, then those of the score.

    Args:
        rows: with their verdicts, see ``Source.stamped``.
    """
    lines = (
        [*(row[key] for key in PLAIN), *(score[key] for key in SCORE)]
        for row in rows
        for score in scores(row)
    )
    return csv_text((*PLAIN, *SCORE), lines)


def to_json(rows: Iterable[dict[str, Any]]) -> str:
    """The same as a list of results; entries and scores are objects."""
    plain = [
        {**{k: row[k] for k in PLAIN}, "entry": json.loads(row["entry"]), "scores": scores(row)}
        for row in rows
    ]
    return json.dumps(plain, indent=1, allow_nan=False) + "\n"


def to_eval_results(rows: Sequence[dict[str, Any]], dataset: str, url: str = "") -> str:
    """YAML for ``.eval_results/`` in a model's repository: one entry per score of the result.

    A result that verification refuted is not told there, where nobody would see the verdict.

    Args:
        rows: of one model, with their verdicts.
        dataset: repository of the results on the Hub, ``owner/name``.
        url: page of the leaderboard, as the source.

    Raises:
        VarSpacesError: if the rows are of several models.
    """
    rows = [row for row in rows if row["verdict"] != FLAGGED]
    models = sorted({row["model"] for row in rows})
    if len(models) != 1:
        raise VarSpacesError(
            f"A file of .eval_results belongs to one model, these are {', '.join(models) or 'none'}"
            ": give --model."
        )
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    source = {"source_url": url, "source_name": "VAR Spaces leaderboard"} if url else {}
    entries = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=row["suite"],
            dataset_revision=None,
            value=score["value"],
            date=row["created"][:10],
            notes=f"{row['label']}; {score['metric']}; {row['protocol']}; result {row['id']}",
            **source,
        )
        for row in rows
        for score in scores(row)
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)
