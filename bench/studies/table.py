"""The table of a study: printed, as one JSON object, or in a file beside either."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """``--json`` and ``--out``."""
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--out", type=Path, help="also write the JSON object to this file")


def signed(value: float, digits: int = 3) -> str:
    """With its sign, a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def signed_interval(value: float, ends: Sequence[float]) -> str:
    """A difference and the two ends of its interval."""
    low, high = ends
    return f"{signed(value)} [{signed(low)}, {signed(high)}]"


def give(result: Mapping[str, Any], options: argparse.Namespace) -> None:
    """``result``, with its title, columns and rows, as the ``options`` of ``add_outputs`` ask."""
    text = json.dumps(result, indent=1)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(text)
        return
    table = Table(*result["columns"], title=result["title"])
    for row in result["rows"]:
        table.add_row(*row)
    Console().print(table)
