"""Rows of preference files: CSV and JSONL (plain or gzip) and Parquet, streamed in bounded memory.

A row has a place, the line on which it begins (in Parquet the number of the row, from 1), and the values of the columns
asked for; an absent column is None. Text is UTF-8, with or without a byte order mark; CSV is RFC 4180 with a header;
blank lines are passed over.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from elicitation.errors import InvalidInput
from reward_bases.train.data.values import Reason

SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
LINE_BYTES = 1 << 24
PARQUET_ROWS = 4096

Row = tuple[int, Sequence[Any] | Reason]
"""The place of a row, with its values or with the reason why it has none."""


def is_table(path: Path) -> bool:
    """Whether the name of ``path`` ends as one of SUFFIXES."""
    return path.name.lower().endswith(SUFFIXES)


@dataclass(frozen=True)
class Table:
    """A file of rows and the names of its columns; of JSONL, those of its first object."""

    path: Path
    columns: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> "Table":
        """Raises InvalidInput for a file without columns, and for one that is not what its name says."""
        columns = tuple(_columns(path))
        if not columns or len(set(columns)) < len(columns):
            raise InvalidInput(
                f"{path.name} has {len(columns)} columns of which {len(set(columns))} differ in name; "
                "it needs a header (JSONL: objects) that names every column once"
            )
        return cls(path, columns)

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Every row, in the order of the file; raises InvalidInput where the file itself is broken."""
        if _format(self.path) == "parquet":
            return _parquet_rows(self.path, columns)
        if _format(self.path) == "jsonl":
            return _json_rows(self.path, columns)
        return _csv_rows(self.path, columns)


def _format(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").rpartition(".")[2]


def _columns(path: Path) -> Sequence[str]:
    if _format(path) == "parquet":
        return cast(list[str], _parquet(path).schema_arrow.names)
    if _format(path) == "jsonl":
        return next((tuple(found) for _, found in _objects(path) if isinstance(found, dict)), ())
    return next((tuple(name.strip() for name in header) for _, header in _csv_records(path)), ())


def _lines(path: Path) -> Iterator[str]:
    number = 0
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            while raw := stream.readline(LINE_BYTES):
                number += 1
                if len(raw) == LINE_BYTES:
                    raise InvalidInput(f"{path.name}:{number} is longer than {LINE_BYTES:,} bytes; split its lines")
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path.name}:{number} is not UTF-8; convert the file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"{path.name} cannot be read after line {number}: {error}; is the file complete?") from None


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    # The csv module keeps one limit for the whole process; its own would stop at texts that are merely refused.
    csv.field_size_limit(LINE_BYTES)
    reader, begins = csv.reader(_lines(path), strict=True), 1
    try:
        for record in reader:
            if record:
                yield begins, record
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(f"{path.name}:{begins} is not valid CSV: {error}; look at its quotation marks") from None


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    records = _csv_records(path)
    header = [name.strip() for name in next(records)[1]]
    positions = [header.index(name) if name in header else None for name in columns]
    for line, record in records:
        if len(record) != len(header):
            yield line, Reason.RAGGED
        else:
            yield line, [None if position is None else record[position] for position in positions]


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | Reason]]:
    for line, text in enumerate(_lines(path), start=1):
        if text.isspace():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        yield line, found if isinstance(found, dict) else Reason.NOT_JSON


def _json_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    for line, found in _objects(path):
        yield line, found if isinstance(found, Reason) else [found.get(name) for name in columns]


def _parquet(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path.name} is not a Parquet file: {error}") from None


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    row = 0
    with _parquet(path) as file:
        present = [name for name in columns if name in file.schema_arrow.names]
        try:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=present):
                found = batch.to_pydict()
                values = [found.get(name, [None] * len(batch)) for name in columns]
                yield from enumerate(zip(*values, strict=True), start=row + 1)
                row += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput(f"{path.name} cannot be read after row {row}: {error}; is the file complete?") from None
