"""Where a key of a TOML file stands: its tables are known by name, its lines are not."""

import re
from collections import Counter
from collections.abc import Sequence

HEADER = re.compile(r"\s*(\[+)\s*([^\]]+?)\s*\]+\s*(?:#.*)?$")
KEY = re.compile(r"""\s*["']?([\w-]+)["']?\s*[.=]""")


def line_of(text: str, table: Sequence[str], key: str | None = None) -> int | None:
    """Number, from 1, of the line with ``key`` in the ``table``, or of the table's header; None if there is none.

    ``table`` is the path of its names, () for the top of the file; ("criteria", "1") is the second of [[criteria]].
    """
    at: tuple[str, ...] = ()
    many: Counter[tuple[str, ...]] = Counter()
    found: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            at = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                many[at] += 1
                at = (*at, str(many[at] - 1))
            if at == tuple(table) and found is None:
                found = number
        elif key is not None and at == tuple(table) and (entry := KEY.match(line)) and entry[1] == key:
            return number
    return found
