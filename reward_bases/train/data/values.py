"""Meaning of one value of a preference file, or the reason why it is refused.

Choices, votes and strengths are read without regard to case and outer spaces, in the spellings below and no others.
A prompt is a text or a list of messages ``{role, content}``; a response is a text or a list of one assistant message.
Its thoughts are not read, as the newest reading rule has it, which is the served basis's too.
In a format without lists, a text that is the JSON of a list of messages stands for that list.
"""

import itertools
import json
import math
from enum import StrEnum
from typing import Any, TypeVar

from elicitation.choice import Choice, Strength
from elicitation.errors import InvalidInput
from reward_bases.reading_rule import NEWEST
from reward_bases.text import ROLES, Conversation

T = TypeVar("T")

TEXT_LIMIT = 100_000
"""Characters of a response, and of all messages of a prompt together."""

CHOICES = {
    **dict.fromkeys(("a", "left", "response_a"), Choice.LEFT),
    **dict.fromkeys(("b", "right", "response_b"), Choice.RIGHT),
    **dict.fromkeys(("tie", "same", "equal", "draw"), Choice.SAME),
    **dict.fromkeys(("skip", "skipped"), Choice.SKIP),
    **dict.fromkeys(("both_poor", "both_bad", "neither"), Choice.BOTH_POOR),
}
VOTES = {
    **dict.fromkeys(("1", "+1", "1.0", "agree"), Choice.LEFT),
    **dict.fromkeys(("-1", "-1.0", "disagree"), Choice.RIGHT),
    **dict.fromkeys(("0", "0.0", "-0.0", "pass"), Choice.SAME),
}
STRENGTHS: dict[str, Strength | None] = {"slight": Strength.SLIGHT, "clear": Strength.CLEAR, "": None}


class Reason(StrEnum):
    """Why a row is refused; never the row's own words."""

    RAGGED = "not as many values as the header has columns"
    NOT_JSON = "not a JSON object"
    NO_USER = "no user"
    NO_PROMPT = "no prompt"
    EMPTY_RESPONSE = "empty response"
    IDENTICAL = "identical responses"
    NOT_TEXT = "a text that is not a string of Unicode characters"
    TOO_LONG = f"a text above {TEXT_LIMIT:,} characters"
    MESSAGES = "malformed message list"
    UNKNOWN_CHOICE = "unknown choice"
    UNKNOWN_VOTE = "unknown vote"
    UNKNOWN_STRENGTH = "unknown strength"
    NO_SIDE = "a strength without a side"
    NOT_A_NUMBER = "not a number"
    NO_ID = "no id"
    REPEATED_ID = "an id that was given before"
    UNKNOWN_ID = "an id that no usable text has"
    TWO_PROMPTS = "responses to different prompts"
    OUTSIDE = "a number that is no row of items.npy"
    JUDGED_BEFORE = "judged before by the same user"
    ALONE = "nothing to compare it with"


class Refused(Exception):
    """A row cannot be used."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def name_of(value: Any, absent: Reason) -> str:
    """A user's or a text's id; the numbers 7 and 7.0 and the text "7" are the same."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    name = str(value).strip() if isinstance(value, str | int) else ""
    if not name:
        raise Refused(absent)
    _require_unicode(name)
    return name


def choice_of(value: Any) -> Choice:
    return _spelled(CHOICES, value, Reason.UNKNOWN_CHOICE)


def vote_of(value: Any) -> Choice:
    """Agreement is LEFT, disagreement RIGHT, a pass SAME."""
    return _spelled(VOTES, value, Reason.UNKNOWN_VOTE)


def strength_of(value: Any, choice: Choice) -> Strength | None:
    strength = _spelled(STRENGTHS, "" if value is None else value, Reason.UNKNOWN_STRENGTH)
    if strength is not None and choice == Choice.SAME:
        raise Refused(Reason.NO_SIDE)
    return strength


def number_of(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Refused(Reason.NOT_A_NUMBER) from None
    if not math.isfinite(number):
        raise Refused(Reason.NOT_A_NUMBER)
    return number


def row_of(value: Any, rows: int) -> int:
    """A row number of a table with ``rows`` rows, from 0."""
    number = number_of(value)
    if not (number.is_integer() and 0 <= number < rows):
        raise Refused(Reason.OUTSIDE)
    return int(number)


def conversation_of(value: Any) -> Conversation:
    """From a prompt."""
    value = _unpacked(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Refused(Reason.NO_PROMPT)
    if isinstance(value, str):
        return Conversation.of(_text(value))
    messages = _messages(value)
    _text("".join(message["content"] for message in messages))
    try:
        return Conversation.of(messages)
    except InvalidInput:
        raise Refused(Reason.MESSAGES) from None


def topic_of(value: Any) -> Conversation:
    """From the prompt of a statement, which may be missing: then the topic is the empty text."""
    blank = value is None or (isinstance(value, str) and not value.strip())
    return Conversation.of("") if blank else conversation_of(value)


def response_of(value: Any) -> str:
    """What is read of a response."""
    value = _unpacked(value)
    if isinstance(value, list):
        messages = _messages(value)
        if [message["role"] for message in messages] != ["assistant"]:
            raise Refused(Reason.MESSAGES)
        value = messages[0]["content"]
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Refused(Reason.EMPTY_RESPONSE)
    read = NEWEST.of_text(_text(value))
    if not read.strip():
        raise Refused(Reason.EMPTY_RESPONSE)
    return read


def preference_of(prompt: Any, chosen: Any, rejected: Any) -> tuple[Conversation, str, str]:
    """Conversation, chosen and rejected response of TRL's preference format, conversational or not.

    Message lists that begin alike carry their prompt with them; it then stands in for ``prompt``.
    """
    chosen, rejected = _unpacked(chosen), _unpacked(rejected)
    if chosen is not None and chosen == rejected:
        raise Refused(Reason.IDENTICAL)
    if isinstance(chosen, list) and isinstance(rejected, list):
        alike = itertools.takewhile(lambda turns: turns[0] == turns[1], zip(chosen, rejected, strict=False))
        shared = sum(1 for _ in alike)
        prompt = chosen[:shared] or prompt
        chosen, rejected = chosen[shared:], rejected[shared:]
    return conversation_of(prompt), response_of(chosen), response_of(rejected)


def _spelled(spellings: dict[str, T], value: Any, unknown: Reason) -> T:
    key = str(value).strip().lower()
    if key not in spellings:
        raise Refused(unknown)
    return spellings[key]


def _unpacked(value: Any) -> Any:
    if not (isinstance(value, str) and value.lstrip().startswith("[")):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if any(isinstance(turn, dict) and "role" in turn for turn in found) else value


def _messages(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise Refused(Reason.NOT_TEXT)
    for turn in value:
        if not (isinstance(turn, dict) and all(isinstance(turn.get(name), str) for name in ("role", "content"))):
            raise Refused(Reason.MESSAGES)
        if turn["role"] not in ROLES:
            raise Refused(Reason.MESSAGES)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused(Reason.NOT_TEXT)
    if len(value) > TEXT_LIMIT:
        raise Refused(Reason.TOO_LONG)
    _require_unicode(value)
    return value


def _require_unicode(text: str) -> None:
    """Halves of surrogate pairs, which JSON can spell, are no characters: no encoder reads them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(Reason.NOT_TEXT) from None
