"""From a chat completion to numbers: those of its JSON object, else those found in its text.

Where the server tells log-probabilities, a criterion without reasons has the expectation over the numbers of its scale
instead of the likeliest one (G-Eval, Liu et al. 2023, https://arxiv.org/abs/2303.16634). That needs a scale of
one-digit numbers, each a token. Thoughts in <think> are taken off first.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from app.errors import CallFailed
from app.sources.judge.rubric import Criterion
from app.sources.judge.vote import Vote
from app.storage.judgments import Numbers

THINKING, THOUGHT = "<think>", "</think>"
NUMBER = re.compile(r"\W*(\d+(?:\.\d+)?)\W*")


class Likely(BaseModel):
    token: str
    logprob: Annotated[float, Field(le=1)]


class Token(Likely):
    utf8: list[int] | None = Field(None, alias="bytes")
    top_logprobs: list[Likely] = []

    @property
    def content(self) -> bytes:
        """A token may be a part of a character, which ``token`` cannot show."""
        return self.token.encode("utf-8", "replace") if self.utf8 is None else bytes(self.utf8)


class Tokens(BaseModel):
    content: list[Token] | None = None


class Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    message: Message
    logprobs: Tokens | None = None


class Usage(BaseModel):
    total_tokens: int = 0


class Completion(BaseModel):
    """What is read of a reply."""

    choices: list[Choice] = Field(min_length=1)
    model: str | None = None
    system_fingerprint: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True)
class Judgment:
    """The ``numbers`` of a vote, who says so, and whether the reply was the JSON object that was asked for."""

    numbers: Numbers
    model: str
    fingerprint: str
    tokens: int
    as_asked: bool


def read_reply(said: Any, vote: Vote) -> Judgment:
    """Raises CallFailed for a reply that is no chat completion or lacks a number of its scale."""
    try:
        reply = Completion.model_validate(said)
    except ValidationError:
        raise CallFailed("the reply is no chat completion", "malformed") from None
    tokens = reply.usage.total_tokens if reply.usage else 0
    numbers, as_asked = _numbers(reply.choices[0], vote)
    return Judgment(numbers, reply.model or "", reply.system_fingerprint or "", tokens, as_asked)


def _numbers(choice: Choice, vote: Vote) -> tuple[Numbers, bool]:
    if choice.message.refusal:
        return {criterion.name: None for criterion in vote.criteria}, True
    text = (choice.message.content or "").rpartition(THOUGHT)[2].strip()
    if text.startswith(THINKING):
        raise CallFailed("the judge has not thought to its end; raise max_tokens", "malformed")
    found, as_asked = _object(text)
    tokens = (choice.logprobs.content if choice.logprobs else None) or []
    numbers = {}
    for criterion in vote.criteria:
        if (number := _said(criterion, found, text, alone=len(vote.criteria) == 1)) is not None:
            number = vote.value(criterion, _expected(criterion, number, tokens))
        numbers[criterion.name] = number
    return numbers, as_asked


def _object(text: str) -> tuple[Mapping[str, Any], bool]:
    """The JSON object in the text, {} if there is none, and whether it is all of the text."""
    for part, whole in ((text, True), (text[text.find("{") : text.rfind("}") + 1], False)):
        try:
            found = json.loads(part)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found, whole
    return {}, False


def _said(criterion: Criterion, found: Mapping[str, Any], text: str, alone: bool) -> float | None:
    """The number that the reply gives, None where it says null; raises CallFailed for what is none of the scale."""
    said = found[criterion.name] if criterion.name in found else _written(criterion, text, alone)
    if isinstance(said, dict):
        said = said.get("score", "")
    if said is None or said == "null":
        return None
    try:
        number = float(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not criterion.low <= number <= criterion.high:
        raise CallFailed(
            f"no number from {criterion.low} to {criterion.high} for the criterion {criterion.name}", "malformed"
        )
    return number


def _pattern(criterion: Criterion) -> str:
    return rf"(?<![\w-]){re.escape(criterion.name)}[\"'*`]*\s*[:=]\s*[\"'*`]*(null|\d+(?:\.\d+)?)"


def _written(criterion: Criterion, text: str, alone: bool) -> str:
    """The last number after the criterion's name; a number alone answers a criterion that is asked alone."""
    if alone and (number := NUMBER.fullmatch(text)):
        return number[1]
    found = re.findall(_pattern(criterion), text)
    return found[-1] if found else ""


def _expected(criterion: Criterion, number: float, tokens: list[Token]) -> float:
    """Over the tokens of the scale, where ``number`` was written; the number itself where they are not told."""
    if criterion.reason_first or criterion.high > 9:
        return number
    told = _told(criterion, number, tokens)
    weights = {one.token: math.exp(one.logprob) for one in told if _on_scale(criterion, one.token)}
    total = sum(weights.values())
    return sum(int(token) * weight for token, weight in weights.items()) / total if total > 0 else number


def _told(criterion: Criterion, number: float, tokens: list[Token]) -> list[Likely]:
    """The likeliest tokens at the place of the number."""
    text, digit = b"".join(token.content for token in tokens), b"%d" % int(number)
    places = [match.start(1) for match in re.finditer(_pattern(criterion).encode(), text) if match[1] == digit]
    start = 0
    for token in tokens:
        if places and start <= places[-1] < start + len(token.content):
            return token.top_logprobs if token.token.strip() == digit.decode() else []
        start += len(token.content)
    return []


def _on_scale(criterion: Criterion, token: str) -> bool:
    written = token.strip()
    return written.isdecimal() and len(written) == 1 and criterion.low <= int(written) <= criterion.high
