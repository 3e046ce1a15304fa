"""Preference data of many people, read from files.

``read(path)`` takes a file, or a folder whose files in the formats of ``records`` have judgments of one kind in the
layouts of ``layouts``. Texts are kept once each; judgments are numbers. A row that cannot be used is refused, counted
and located; an answer that says nothing of tastes (skip, both poor) is kept out and counted. Of several judgments of
one pair, whatever its sides, by one user, the first counts.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elicitation.choice import Outcomes
from elicitation.errors import InvalidInput
from reward_bases.text import Conversation, digest
from reward_bases.train.data.judgments import NOBODY
from reward_bases.train.data.layouts import LAYOUTS, LIBRARIES, Judgment, Kind, Layout, Texts
from reward_bases.train.data.ratings import Rows, alone, compared
from reward_bases.train.data.records import SUFFIXES, Table, is_table
from reward_bases.train.data.row_report import RowReport, RowReportBuilder, place
from reward_bases.train.data.table import FeatureTable
from reward_bases.train.data.values import Reason, Refused

PAIRS_PER_PROMPT = 10
ITEMS = "items.npy"
CODES = {"person": "q", "prompt": "q", "left": "q", "right": "q", "value": "d", "strength": "q", "place": "q"}


@dataclass(frozen=True, eq=False)
class Data:
    """N judgments of P people, sorted by person, else in the order of the files.

    Attributes:
        kind: what people were asked for.
        conversations, responses: unique texts.
        items: (M, 2) long, unique [conversation row, response row].
        left, right: (N,) long rows of ``items``, or of the given features; right is −1 for a vote.
        people: (N,) long, 0…P−1 by first appearance.
        prompts: (N,) long conversation rows; with given features, numbers of the labels in the column prompt.
        outcomes: the N judgments.
        user_ids: (P,).
        refused: what became of the rows.
        table: the file of given features, for judgments of the kind INDEXED; these have no texts and no items.
    """

    kind: Kind
    conversations: tuple[Conversation, ...]
    responses: tuple[str, ...]
    items: Tensor
    left: Tensor
    right: Tensor
    people: Tensor
    prompts: Tensor
    outcomes: Outcomes
    user_ids: tuple[str, ...]
    refused: RowReport
    table: Path | None


def read(path: Path, seed: int = 0, pairs_per_prompt: int = PAIRS_PER_PROMPT) -> Data:
    """Read a file, or the files of a folder.

    A user's ratings of one prompt make at most ``pairs_per_prompt`` pairs, drawn by ``seed``, each response in about
    as many as any other. Raises InvalidInput for files that cannot be read, lack columns, mix kinds or leave nothing.
    """
    sources = _sources(path)
    kind = sources[-1].layout.kind
    table = (path if path.is_dir() else path.parent) / ITEMS if kind == Kind.INDEXED else None
    texts = Texts(table_rows=len(FeatureTable.open(table)) if table else 0)
    builder = RowReportBuilder(tuple(source.table.path.name for source in sources))
    rows, users = _gather(sources, texts, builder)
    rows = _without(rows, _repeated(rows), Reason.JUDGED_BEFORE, builder)
    if kind == Kind.RATINGS:
        rows = _without(rows, alone(rows), Reason.ALONE, builder)
    report = builder.report(len(rows))
    if not len(rows):
        raise InvalidInput(f"{path.name} holds no judgment that can be used; {report}")
    if kind == Kind.RATINGS:
        rows = compared(rows, _ranks(texts), pairs_per_prompt, seed)
    return _data(kind, rows, texts, users, report, table)


@dataclass(frozen=True)
class _Source:
    table: Table
    layout: Layout
    columns: list[str]

    @property
    def judges(self) -> bool:
        """Whether its rows are judgments, not texts with ids."""
        return self.layout not in LIBRARIES


def _sources(path: Path) -> list[_Source]:
    """The tables to read, those of texts with ids first."""
    if not path.exists():
        raise InvalidInput(f"{path} does not exist; give a file or a folder")
    files = [file for file in (sorted(path.iterdir()) if path.is_dir() else [path]) if is_table(file)]
    if not files:
        raise InvalidInput(f"{path.name} is no preference data; files end in {', '.join(SUFFIXES)}")
    sources = sorted(map(_source, files), key=lambda source: source.judges)
    kinds = {source.layout.kind: source.table.path.name for source in sources if source.judges}
    if len(kinds) != 1:
        found = ", ".join(f"{kind} ({name})" for kind, name in kinds.items()) or "texts without judgments"
        raise InvalidInput(f"{path.name} holds {found}; put judgments of one kind, with their texts, into one folder")
    given = [source.layout for source in sources]
    for beside in (layout.beside for layout in given):
        if beside and beside not in given:
            columns = ", ".join(sorted((*beside.needed, *beside.optional)))
            raise InvalidInput(f"{path.name} names texts by id; give a folder with a file {columns} beside it")
    return sources


def _source(path: Path) -> _Source:
    table = Table.open(path)
    for layout in (*LAYOUTS, *LIBRARIES):
        if columns := layout.columns(table.columns):
            return _Source(table, layout, columns)
    found = ", ".join(name[:40] for name in table.columns[:20])
    needed = "; ".join(", ".join(layout.needed) for layout in (*LAYOUTS, *LIBRARIES))
    raise InvalidInput(f"{path.name} has the columns {found}; it needs those of one layout: {needed}")


def _gather(sources: Sequence[_Source], texts: Texts, builder: RowReportBuilder) -> tuple[Rows, list[str]]:
    """Every usable judgment and the users' ids by number."""
    users: dict[str, int] = {}
    columns: list[array[Any]] = [array(code) for code in CODES.values()]
    for number, source in enumerate(sources):
        for line, judgment in _usable(source, number, texts, builder):
            if judgment is None:
                builder.kept_out += source.judges
                continue
            person = users.setdefault(judgment.user, len(users))
            for column, value in zip(columns, (person, *judgment[1:], place(number, line)), strict=True):
                column.append(value)
    rows = np.empty(len(columns[0]), dtype=list(CODES.items()))
    for name, column in zip(CODES, columns, strict=True):
        rows[name] = np.frombuffer(column, dtype=CODES[name])
    return rows, list(users)


def _usable(
    source: _Source, number: int, texts: Texts, builder: RowReportBuilder
) -> Iterator[tuple[int, Judgment | None]]:
    for line, values in source.table.rows(source.columns):
        try:
            if isinstance(values, Reason):
                raise Refused(values)
            yield line, source.layout.read(texts, *values)
        except Refused as refused:
            builder.refuse(refused.reason, [place(number, line)])


def _without(rows: Rows, unusable: NDArray[np.bool_], reason: Reason, builder: RowReportBuilder) -> Rows:
    builder.refuse(reason, rows["place"][unusable].tolist())
    return rows[~unusable]


def _repeated(rows: Rows) -> NDArray[np.bool_]:
    """(N,) rows whose pair their person has judged before."""
    low, high = np.minimum(rows["left"], rows["right"]), np.maximum(rows["left"], rows["right"])
    order = np.lexsort((high, low, rows["person"]))
    same = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for column in (rows["person"], low, high):
        same &= np.diff(column[order]) == 0
    repeated = np.zeros(len(rows), dtype=bool)
    repeated[order[1:][same]] = True
    return repeated


def _ranks(texts: Texts) -> NDArray[np.int64]:
    """(M,) place of every item in the order of its response's digest."""
    order = np.argsort(np.array([digest(response) for response in texts.responses], dtype="S64"))
    place_of = np.empty(len(order), dtype=np.int64)
    place_of[order] = np.arange(len(order))
    return place_of[[response for _, response in texts.items]]


def _data(kind: Kind, rows: Rows, texts: Texts, users: list[str], report: RowReport, table: Path | None) -> Data:
    """Sorted by person; the people, items and texts that occur get new numbers."""
    people, rows["person"] = np.unique(rows["person"], return_inverse=True)
    rows = rows[np.argsort(rows["person"], kind="stable")]
    items = np.empty((0, 2), dtype=np.int64) if table else _items_used(rows, texts)
    said, items[:, 0] = np.unique(items[:, 0], return_inverse=True)
    answers, items[:, 1] = np.unique(items[:, 1], return_inverse=True)
    if not table:
        rows["prompt"] = items[rows["left"], 0]
    conversations, responses = list(texts.conversations), list(texts.responses)
    column = {name: torch.from_numpy(rows[name].copy()) for name in CODES}
    return Data(
        kind=kind,
        conversations=tuple(conversations[i] for i in said),
        responses=tuple(responses[i] for i in answers),
        items=torch.from_numpy(items),
        left=column["left"],
        right=column["right"],
        people=column["person"],
        prompts=column["prompt"],
        outcomes=Outcomes(1 - column["value"].long(), column["value"], column["strength"].double()),
        user_ids=tuple(users[person] for person in people),
        refused=report,
        table=table,
    )


def _items_used(rows: Rows, texts: Texts) -> NDArray[np.int64]:
    """(M, 2) the items that ``rows`` judge, which are renumbered in place."""
    sides = np.stack([rows["left"], rows["right"]])
    used, numbers = np.unique(sides, return_inverse=True)
    votes = int(used[0] == NOBODY)
    rows["left"], rows["right"] = numbers.reshape(sides.shape) - votes
    items: NDArray[np.int64] = np.array(list(texts.items), dtype=np.int64)[used[votes:]]
    return items
