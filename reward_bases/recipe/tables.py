"""A TOML file whose shape is checked; whatever is wrong in it is refused with its line."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from elicitation.errors import InvalidInput
from reward_bases.recipe.lines import line_of

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Written(Generic[T]):
    """The ``table`` that the ``text`` of a file says."""

    path: Path
    text: str
    table: T

    def refuse(self, place: Sequence[str], why: str) -> NoReturn:
        """Raises InvalidInput; ``place`` is the path of tables and key, for one of [[many]] with its number."""
        raise _refusal(self.path, self.text, place, why)


def read_table(path: Path, what: str, shape: type[T]) -> Written[T]:
    """``what`` the file is, in messages; raises InvalidInput with file, line and remedy."""
    try:
        text = path.read_text(encoding="utf-8")
        said = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{what} {path} cannot be read ({error}); mend the file, or name another") from error
    try:
        return Written(path, text, shape.model_validate(said, strict=True))
    except ValidationError as error:
        first = error.errors()[0]
        raise _refusal(path, text, _place(said, first["loc"]), first["msg"]) from error


def _place(said: Any, location: Sequence[str | int]) -> list[str]:
    """The keys on the way to the last of ``location``, without the names of the shapes that were tried for them."""
    place = []
    for part in location:
        known = part in said if isinstance(said, dict) else isinstance(said, list) and isinstance(part, int)
        if known or part == location[-1]:
            place.append(str(part))
        said = said[part] if known else said
    return place


def _refusal(path: Path, text: str, place: Sequence[str], why: str) -> InvalidInput:
    lines = (line_of(text, place[:cut], place[cut]) for cut in range(len(place) - 1, -1, -1))
    header = (line_of(text, place[:cut]) for cut in range(len(place), 0, -1))
    line = next((found for found in (*lines, *header) if found is not None), 1)
    return InvalidInput(f"{path.name}:{line}: {'.'.join(place)}: {why}; docs/sources.md lists all keys")
