"""Fate of the rows of preference files: counted and located, never quoted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from reward_bases.train.data.values import Reason

PLACES = 5
LINE_BITS = 40


@dataclass(frozen=True)
class Refusal:
    """Rows refused for one reason; ``places`` are the first few, as file:line."""

    reason: Reason
    count: int
    places: tuple[str, ...]


@dataclass(frozen=True)
class RowReport:
    """Fate of the rows: ``used``, ``kept_out`` (skip, both poor) as saying nothing of tastes, or ``refused``."""

    used: int
    kept_out: int
    refused: tuple[Refusal, ...]

    @property
    def rows(self) -> int:
        return self.used + self.kept_out + sum(refusal.count for refusal in self.refused)

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows: {self.used:,} used, {self.kept_out:,} skipped or both poor"]
        for refusal in self.refused:
            more = ", …" if refusal.count > len(refusal.places) else ""
            lines.append(f"{refusal.count:,} refused: {refusal.reason} ({', '.join(refusal.places)}{more})")
        return "\n".join(lines)


def place(file: int, line: int) -> int:
    """A file's number and a line as one integer."""
    return file << LINE_BITS | line


@dataclass
class RowReportBuilder:
    """Rows as they are refused or kept out; ``files`` are the names of the files that places number."""

    files: tuple[str, ...]
    kept_out: int = 0
    counts: Counter[Reason] = field(default_factory=Counter)
    places: dict[Reason, list[int]] = field(default_factory=dict)

    def refuse(self, reason: Reason, places: Iterable[int]) -> None:
        first = self.places.setdefault(reason, [])
        for found in places:
            self.counts[reason] += 1
            if len(first) < PLACES:
                first.append(found)

    def report(self, used: int) -> RowReport:
        return RowReport(
            used,
            self.kept_out,
            tuple(
                Refusal(reason, self.counts[reason], tuple(map(self._spoken, self.places[reason])))
                for reason in Reason
                if self.counts[reason]
            ),
        )

    def _spoken(self, found: int) -> str:
        return f"{self.files[found >> LINE_BITS]}:{found & ((1 << LINE_BITS) - 1)}"
