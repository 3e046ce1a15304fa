"""Preference files to read, and what was read from them, by name."""

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reward_bases.train.data.reading import Data
from reward_bases.train.data.values import Reason

Record = dict[str, Any]
PAIR: Record = {"user": "ann", "prompt": "Why?", "response_a": "Because.", "response_b": "Who knows.", "choice": "a"}
SUFFIXES = ("csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Why what?"},
    {"role": "user", "content": "Rain."},
]


def spelled(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def write(path: Path, records: Sequence[Record]) -> Path:
    """``records`` in the format that the name of ``path`` says."""
    columns = list(records[0])
    if path.name.endswith(".parquet"):
        pq.write_table(pa.table({name: [record[name] for record in records] for name in columns}), path)
        return path
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "wt", encoding="utf-8", newline="") as stream:
        if ".csv" in path.name:
            rows = csv.writer(stream)
            rows.writerow(columns)
            rows.writerows([spelled(record[name]) for name in columns] for record in records)
        else:
            stream.writelines(json.dumps(record) + "\n" for record in records)
    return path


def judgments_of(data: Data) -> list[tuple[Any, ...]]:
    """(user, conversation, left text, right text, +1/0/−1, strength) of every judgment."""
    texts = [data.responses[row] for row in data.items[:, 1]] + [None]
    asked = [data.conversations[row] for row in data.items[:, 0]]
    outcomes = data.outcomes
    return [
        (data.user_ids[person], asked[left], texts[left], texts[right], towards, strength)
        for person, left, right, towards, strength in zip(
            data.people.tolist(),
            data.left.tolist(),
            data.right.tolist(),
            outcomes.towards.tolist(),
            outcomes.strength.tolist(),
            strict=True,
        )
    ]


def refused(data: Data) -> dict[Reason, tuple[int, tuple[str, ...]]]:
    return {refusal.reason: (refusal.count, refusal.places) for refusal in data.refused.refused}
