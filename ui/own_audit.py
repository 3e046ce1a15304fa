"""A person's own audit, in plain words: one sentence and one verdict per metric."""

from html import escape
from typing import Any

from ui.parts import chip, number, share

WORDS = {
    1: "Answers are ordered {degree} differently for you than for everybody (distance {value}, watched from {amber}).",
    2: "For {share} of prompts your best answer is one that everybody finds clearly worse.",
    3: "For {share} of prompts your first choice lies outside everybody's best quarter.",
    5: "What you get first is {truth} than what everybody gets, by Keel's stand-in for truth.",
    8: "The answers at the top of your list are {ratio} as different from each other as all the answers there are.",
}
DEGREES = {"green": "a little", "amber": "clearly", "red": "very"}


def sentences(audit: dict[str, Any]) -> str:
    """HTML of a list with one finding a line."""
    lines = (f"<li>{chip(f['status'])}<span>{escape(sentence(f))}</span></li>" for f in audit["findings"])
    return f'<ul class="own-audit">{"".join(lines)}</ul>'


def sentence(finding: dict[str, Any]) -> str:
    """The finding in words, or its meaning and value where there are none for it."""
    value = finding["value"]
    if finding["number"] not in WORDS:
        return f"{finding['meaning']} {number(value)} {finding['unit']}."
    return WORDS[finding["number"]].format(
        degree=DEGREES.get(finding["status"], "somewhat"),
        value=number(value),
        amber=number(finding["amber"]),
        share=share(value),
        truth=_truth(value),
        ratio=f"{round(100 * value)} %",
    )


def served(audit: dict[str, Any]) -> str:
    """How often the person was served by their own reward, where rankings are logged."""
    if not audit["rankings"]:
        return ""
    times = f"{audit['by_aggregate']} of your last {audit['rankings']} rankings"
    return f"{times} came from everybody's taste, chosen at random, so that Keel can measure the effect of yours."


def _truth(gap: float) -> str:
    if abs(gap) < 0.005:
        return "no less true"
    return f"{number(abs(gap))} SD {'less' if gap > 0 else 'more'} true"
