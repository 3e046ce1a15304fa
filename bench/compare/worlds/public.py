"""Public data sets of recorded judgments, found in the folder that ``--data`` names."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from elicitation.errors import InvalidInput
from reward_bases.train.data.reading import Data, read

SUFFIXES = (".csv.gz", ".csv")


def folder_of(data: Path | None, name: str, files: tuple[str, ...], source: str) -> Path:
    """``data`` itself or its folder ``name``, whichever has the ``files``; raises InvalidInput if neither does."""
    for folder in (data / name, data) if data else ():
        if all(any((folder / f"{file}{suffix}").is_file() for suffix in SUFFIXES) for file in files):
            return folder
    wanted = " and ".join(f"{file}.csv or {file}.csv.gz" for file in files)
    raise InvalidInput(
        f"{name} needs data: {data or 'no folder'} holds no {wanted}; get {source}, "
        "write it as docs/benchmarks.md says, and name its folder with --data DIR"
    )


def table(folder: Path, file: str) -> pd.DataFrame:
    """A file of the folder; every value is a text."""
    path = next(path for suffix in SUFFIXES if (path := folder / f"{file}{suffix}").is_file())
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def require_columns(found: pd.DataFrame, columns: tuple[str, ...], file: str) -> None:
    """Raises InvalidInput if one of the ``columns`` is missing."""
    if missing := [column for column in columns if column not in found.columns]:
        raise InvalidInput(f"{file} has no column {', '.join(missing)}; it needs {', '.join(columns)}")


def read_rows(rows: pd.DataFrame) -> Data:
    """Judgments in the columns of a layout that ``keel train`` reads."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "judgments.jsonl"
        rows.to_json(path, orient="records", lines=True)
        return read(path)
