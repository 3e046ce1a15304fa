"""A suite's result as a table on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

SHOWN = ("0", "1", "2", "3", "5", "10", "20")
COMPARED = ("5", "10", "20")
"""Answers after which methods are compared."""
WIDTH = 140
"""Columns where nobody sees how many there are, as in a file."""
RATED = "10"
"""Answers after which accuracy, log-likelihood and the measures of POLICY are shown."""
POLICY = {"best_of_4": "best of 4", "worst_tenth": "worst tenth"}
"""Measures of what people get from a reward that chooses for them, with their headings."""


def show(result: dict[str, Any]) -> None:
    """Print it; what is no suite of methods is a list of names and values."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    if "methods" not in result:
        for name, value in result.items():
            console.print(f"{name:32} {value}", highlight=False)
        return
    console.print(_methods(result))
    if result["differences"]:
        console.print(_differences(result))
    for name, entry in result["fewer_answers"].items():
        console.print(f"{name}: {estimate(entry)}", highlight=False)
    if result["reversed_flips"] is not None:
        console.print(f"confident predictions that reversed answers turn: {number(result['reversed_flips'])}")


def _methods(result: dict[str, Any]) -> Table:
    stages = [k for k in SHOWN if int(k) in result["stages"]]
    table = Table(
        title=f"{result['suite']}: AUC by number of answers; {result['people']} people, {many(result['seeds'], 'seed')}"
    )
    table.add_column("method", no_wrap=True)
    headings = (f"{heading}@{RATED}" for heading in ("accuracy", "nll", *POLICY.values()))
    for heading in (*stages, *headings, "PReF@20 after", "ms"):
        table.add_column(heading, justify="right")
    for name, method in result["methods"].items():
        table.add_row(
            name if method["subsample"] is None else f"{name} ({method['subsample']['people']} people)",
            *(number(method["auc"][k]) for k in stages),
            number(method["accuracy"].get(RATED)),
            number(method["nll"].get(RATED)),
            *(number(method[measure].get(RATED)) for measure in POLICY),
            number(result["answers_to_pref_20"].get(name), 1),
            number(method["ms_per_question"], 1),
        )
    return table


def _differences(result: dict[str, Any]) -> Table:
    stages = [k for k in COMPARED if int(k) in result["stages"]]
    table = Table(title="difference of AUC with its 95 % interval, same people")
    table.add_column("", no_wrap=True)
    for heading in stages:
        table.add_column(heading, justify="right")
    for name, by_stage in result["differences"].items():
        table.add_row(name, *(estimate(by_stage[k]) for k in stages))
    return table


def number(value: float | None, digits: int = 3, sign: str = "-") -> str:
    """With a true minus sign, and with ``sign`` "+" a plus sign too; a dash where there is none."""
    return "–" if value is None else f"{value:{sign}.{digits}f}".replace("-", "−")


def estimate(entry: dict[str, Any], digits: int = 3) -> str:
    """Mean with sign and interval."""
    if entry["mean"] is None:
        return "–"
    low, high = (number(end, digits) for end in entry["ci"])
    return f"{number(entry['mean'], digits, '+')} [{low}, {high}]"


def many(count: int, noun: str) -> str:
    """A count with its noun in the right number."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
