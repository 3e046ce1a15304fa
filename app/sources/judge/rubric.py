"""A rubric: the criteria that a judge is asked, read from a TOML file.

    [[criteria]]
    name = "cites"
    text = "the response names the sources of what it says"
    scale = [1, 5]          # the lowest and the highest number
    reason_first = true     # the judge writes a short reason before the number; false where left out
    votes = 3               # how often it is asked; 1 where left out

A text says what there may be little or much of, and no numbers: the scale is turned round for every second vote.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from reward_bases.recipe.shape import Name, Table, Text
from reward_bases.recipe.tables import read_table

HIGHEST = 100
MOST_VOTES = 64


class Criterion(Table):
    """One column: how much of ``text`` there is, from ``low`` to ``high``."""

    name: Name
    text: Text
    scale: list[int] = Field([1, 5], min_length=2, max_length=2)
    reason_first: bool = False
    votes: Annotated[int, Field(ge=1, le=MOST_VOTES)] = 1

    @field_validator("scale")
    @classmethod
    def _rises(cls, scale: list[int]) -> list[int]:
        low, high = scale
        if not 0 <= low < high <= HIGHEST:
            raise ValueError(f"{scale} does not rise between 0 and {HIGHEST}")
        return scale

    @property
    def low(self) -> int:
        return self.scale[0]

    @property
    def high(self) -> int:
        return self.scale[1]


class Rubric(Table):
    """The whole file."""

    criteria: Annotated[list[Criterion], Field(min_length=1)]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(criterion.name for criterion in self.criteria)

    @property
    def votes(self) -> int:
        """Calls for one pair: of the criterion that is asked most often."""
        return max(criterion.votes for criterion in self.criteria)

    def asked(self, vote: int) -> list[Criterion]:
        """Those that a vote is about; votes are numbered from 0."""
        return [criterion for criterion in self.criteria if vote < criterion.votes]


def read_rubric(path: Path) -> Rubric:
    """Raises InvalidInput with file, line and remedy."""
    written = read_table(path, "rubric", Rubric)
    seen: Counter[str] = Counter()
    for place, name in enumerate(written.table.names):
        seen[name] += 1
        if seen[name] > 1:
            written.refuse(("criteria", str(place), "name"), f"{name!r} is taken; give each criterion its own name")
    return written.table
