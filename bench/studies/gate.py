"""``python -m bench.studies.gate``: error rates of the gate on real answers and on junk made from them.

Real answers are those of the question bank, and with ``--data`` the texts in a folder of public preference data, gzip
CSV with any of the columns of TEXTS. These sets also hold loops, empty and truncated texts, so their rate is
an upper bound for real answers. Junk is made from the bank's answers. *Known* phrasings use the words that the rules
were written with; *unseen* ones use other words. Intervals are Wilson's (1927), 95 %.
"""

import argparse
import csv
import gzip
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from app.attacks import texts
from reward_bases.artifact import DEFAULT
from reward_bases.bank import load_bank
from safeguards.gate import DEFAULT_LIMITS, check

TEXTS = ("text", "response_a", "response_b", "true_answer", "suggested_wrong_answer")
SEED = 0
TIMES = (2, 3, 5, 10, 20, 50)
SHORTEST_CUT = 20
"""Least number of words of an answer that is cut."""


@dataclass(frozen=True)
class Rate:
    """``errors`` of ``n`` texts that the gate judged wrongly, with the interval of the rate."""

    kind: str
    junk: bool
    errors: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, kind: str, wrong: Sequence[bool], junk: bool) -> "Rate":
        interval = binomtest(sum(wrong), len(wrong)).proportion_ci(0.95, method="wilson")
        return cls(kind, junk, sum(wrong), len(wrong), float(interval.low), float(interval.high))

    @property
    def rate(self) -> float:
        return self.errors / self.n


def measure(data: Path | None) -> list[Rate]:
    """Real answers rejected, then junk accepted, kind by kind."""
    answers = [answer.text for prompt in load_bank(DEFAULT / "bank.json").prompts for answer in prompt.answers]
    real = {"the question bank's answers": answers, **(read(data) if data else {})}
    rates = [Rate.of(kind, [not check(text).passed for text in found], junk=False) for kind, found in real.items()]
    for kind, made in junk(answers).items():
        rates.append(Rate.of(kind, [check(text).passed for text in made], junk=True))
    return rates


def read(folder: Path) -> dict[str, list[str]]:
    """The distinct texts of each subfolder of a data folder."""
    found = {}
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        distinct = {
            text: None for path in sorted(part.rglob("*.csv.gz")) for text in _column_texts(path) if text.strip()
        }
        if distinct:
            found[part.name] = list(distinct)
    return found


def _column_texts(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield from (row[name] for name in TEXTS if name in row)


def junk(answers: Sequence[str]) -> dict[str, list[str]]:
    """Texts of each kind that the gate is to reject."""
    draw = random.Random(SEED)  # noqa: S311 - a reproducible sample
    whole = draw.sample(list(answers), 200)
    long = [text for text in whole if len(text.split()) >= SHORTEST_CUT]
    lists = ((part, getattr(texts, f"{name}_TRIVIAL")) for part, name in (("known", "KNOWN"), ("unseen", "HELD_OUT")))
    made = {f"trivial, {part} words": list(found) for part, found in lists}
    for part, name in (("known", "KNOWN"), ("unseen", "HELD_OUT")):
        orders, tokens = getattr(texts, f"{name}_INSTRUCTIONS"), getattr(texts, f"{name}_TEMPLATE_TOKENS")
        made[f"order to the judge, {part} words"] = _after(whole, orders, " ")
        made[f"chat-template token, {part}"] = _after(whole, tokens, "")
    made |= {f"repeated ×{n}": ["\n\n".join([text] * n) for text in whole] for n in TIMES}
    made["cut between words"] = [_cut(text, draw, _word_ends) for text in long]
    made["cut inside a word"] = [_cut(text, draw, _inside_words) for text in long]
    made["padded"] = [
        text + pad for text in whole[:50] for pad in ("!" * 400, " " * 400 + "x", "\n" * 60 + "x", "\u200b" * 50)
    ]
    made["oversized"] = [(text + " ") * (DEFAULT_LIMITS.max_characters // len(text) + 1) for text in whole[:50]]
    return made


def _after(answers: Sequence[str], endings: Sequence[str], between: str) -> list[str]:
    """Every ending after an answer."""
    return [f"{answers[i % len(answers)]}{between}{ending}" for i, ending in enumerate(endings)]


def _word_ends(text: str) -> list[int]:
    """Places after a word that no stop follows: elsewhere a cut cannot be told from an end."""
    return [match.end() for match in re.finditer(r"\w(?=\s)", text)]


def _inside_words(text: str) -> list[int]:
    return [match.end() for match in re.finditer(r"[^\W\d_]{2}(?=[^\W\d_])", text)]


def _cut(text: str, draw: random.Random, places: Callable[[str], list[int]]) -> str:
    """The text up to one of its places, in the last three quarters."""
    return text[: draw.choice([place for place in places(text) if place > len(text) / 4])]


def corrections(rates: Sequence[Rate]) -> dict[str, float]:
    """ρ₀ and ρ₁ for ``keel.noisy_gate``: every kind of junk counts alike; good answers are the bank's."""
    kinds = [rate.rate for rate in rates if rate.junk]
    real = next(rate for rate in rates if not rate.junk)
    return {"false_accept": round(sum(kinds) / len(kinds), 4), "false_reject": round(real.high, 4)}


def report(rates: Sequence[Rate]) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {"rates": [{**asdict(rate), "rate": rate.rate} for rate in rates], "corrections": corrections(rates)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rates."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.gate", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of public preference data")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--out", type=Path, help="also write the JSON object to this file")
    options = parser.parse_args(arguments)
    rates = measure(options.data)
    text = json.dumps(report(rates), indent=1)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(text)
        return 0
    table = Table("texts", "errors", "n", "rate", "95 %")
    for rate in rates:
        wrong = "accepted" if rate.junk else "rejected"
        interval = f"{rate.low:.3%} to {rate.high:.3%}"
        table.add_row(f"{rate.kind}, {wrong}", str(rate.errors), str(rate.n), f"{rate.rate:.2%}", interval)
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
