"""Votes on one pair, counted: the mean of each criterion, and how far it is from being settled."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from app.errors import Missing
from app.storage.judgments import Numbers

Outcome = Numbers | Missing
"""What came of a vote."""
Tally = Mapping[str, tuple[float, float]]
"""Of each criterion the mean over its votes, and the standard error of that mean, which is 0 for a single vote."""


def tally(names: Sequence[str], votes: Sequence[Outcome]) -> Tally | Missing:
    """Of the criteria ``names``; the reason of the first vote that gave none, if there is one."""
    for vote in votes:
        if isinstance(vote, str):
            return vote
        if None in vote.values():
            return "unsure"
    said = {name: [vote[name] for vote in votes if not isinstance(vote, str) and name in vote] for name in names}
    return {name: _mean([number for number in numbers if number is not None]) for name, numbers in said.items()}


def _mean(numbers: Sequence[float]) -> tuple[float, float]:
    return fmean(numbers), stdev(numbers) / len(numbers) ** 0.5 if len(numbers) > 1 else 0.0
