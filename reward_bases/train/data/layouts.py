"""Layouts of preference files, recognised by their columns, and the meaning of a row in each.

| kind | columns |
| --- | --- |
| pairs | user, prompt, response_a, response_b, choice, strength? |
| pairs, as TRL has them | user, chosen, rejected, prompt?, strength? |
| pairs of texts by id | user, a, b, choice, strength?; beside a file id, prompt?, text |
| pairs by id | user, pair_id, choice, strength?; beside a file pair_id, prompt, response_a, response_b |
| ratings | user, prompt, response, rating |
| votes | user, statement or response, vote, prompt?; beside a file id, prompt?, text the statement is an id |
| indexed | user, left, right, choice, strength?, prompt?; beside items.npy, whose rows left and right are |

``user`` may also be called user_id or annotator; other columns are passed over.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from elicitation.choice import Choice, Strength
from reward_bases.text import Conversation, digest
from reward_bases.train.data.judgments import NOBODY
from reward_bases.train.data.values import (
    Reason,
    Refused,
    choice_of,
    conversation_of,
    name_of,
    number_of,
    preference_of,
    response_of,
    row_of,
    strength_of,
    topic_of,
    vote_of,
)

SIGNS = {Choice.LEFT: 1.0, Choice.SAME: 0.0, Choice.RIGHT: -1.0}
STRENGTH_SIGNS = {Strength.CLEAR: 1, Strength.SLIGHT: -1, None: 0}
NAMES = {"user": ("user", "user_id", "annotator"), "statement": ("statement", "response")}


class Kind(StrEnum):
    """The kind of judgments in a file."""

    PAIRS = "pairs"
    RATINGS = "ratings"
    VOTES = "votes"
    INDEXED = "indexed"


class Judgment(NamedTuple):
    """``left`` and ``right`` are items (``right`` may be NOBODY), ``value`` +1 left, 0 same, −1 right, or a rating.

    Where nobody was shown sides, the response with the smaller digest stands left, so that no side is favoured.
    """

    user: str
    prompt: int
    left: int
    right: int
    value: float
    strength: int = 0


@dataclass
class Texts:
    """Conversations, responses and their combinations (items), each numbered by first appearance.

    ``library`` holds (conversation, item) of every id, if texts have ids; ``pairs`` holds (conversation, left item,
    right item) of every pair's id; ``table_rows`` is the number of rows that indexed judgments may name.
    """

    table_rows: int = 0
    library: dict[str, tuple[int, int]] | None = None
    pairs: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    conversations: dict[Conversation, int] = field(default_factory=dict)
    responses: dict[str, int] = field(default_factory=dict)
    items: dict[tuple[int, int], int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def item(self, conversation: Conversation, response: str) -> tuple[int, int]:
        """(conversation, item)."""
        said = self.conversations.setdefault(conversation, len(self.conversations))
        pair = said, self.responses.setdefault(response, len(self.responses))
        return said, self.items.setdefault(pair, len(self.items))

    def known(self, value: Any) -> tuple[int, int]:
        """(conversation, item) of an id."""
        found = (self.library or {}).get(name_of(value, Reason.NO_ID))
        if found is None:
            raise Refused(Reason.UNKNOWN_ID)
        return found

    def pair(self, conversation: Conversation, a: str, b: str) -> tuple[int, int, int]:
        """(conversation, item of a, item of b)."""
        (said, left), (_, right) = self.item(conversation, a), self.item(conversation, b)
        return said, left, right

    def known_pair(self, value: Any) -> tuple[int, int, int]:
        """(conversation, left item, right item) of a pair's id."""
        found = self.pairs.get(name_of(value, Reason.NO_ID))
        if found is None:
            raise Refused(Reason.UNKNOWN_ID)
        return found


@dataclass(frozen=True)
class Layout:
    """``read`` takes the texts and the values of the needed and optional columns, in order; None says nothing of λ.

    ``beside`` is the layout of another file that has the texts, if these judgments cannot be read without one.
    """

    kind: Kind
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[..., Judgment | None]
    beside: "Layout | None" = None

    def columns(self, found: Sequence[str]) -> list[str] | None:
        """Names of the columns in a file that has the columns ``found``; None if a needed one is missing."""
        names = [next((n for n in NAMES.get(column, ()) if n in found), column) for column in self.needed]
        return [*names, *self.optional] if set(names) <= set(found) else None


def add_to_library(texts: Texts, value: Any, text: Any, prompt: Any) -> None:
    """One row of a file of texts with ids."""
    texts.library = {} if texts.library is None else texts.library
    name = name_of(value, Reason.NO_ID)
    if name in texts.library:
        raise Refused(Reason.REPEATED_ID)
    texts.library[name] = texts.item(topic_of(prompt), response_of(text))


def add_pair(texts: Texts, value: Any, prompt: Any, a: Any, b: Any) -> None:
    """One row of a file of pairs with ids."""
    name = name_of(value, Reason.NO_ID)
    if name in texts.pairs:
        raise Refused(Reason.REPEATED_ID)
    texts.pairs[name] = texts.pair(conversation_of(prompt), response_of(a), response_of(b))


def _pair(texts: Texts, user: Any, prompt: Any, a: Any, b: Any, choice: Any, strength: Any) -> Judgment | None:
    chosen = choice_of(choice)
    sides = texts.pair(conversation_of(prompt), response_of(a), response_of(b))
    return _judged(user, *sides, chosen, strength)


def _pair_by_id(texts: Texts, user: Any, pair: Any, choice: Any, strength: Any) -> Judgment | None:
    chosen = choice_of(choice)
    return _judged(user, *texts.known_pair(pair), chosen, strength)


def _preference(texts: Texts, user: Any, chosen: Any, rejected: Any, prompt: Any, strength: Any) -> Judgment | None:
    conversation, better, worse = preference_of(prompt, chosen, rejected)
    choice = Choice.LEFT if digest(better) < digest(worse) else Choice.RIGHT
    sides = (better, worse) if choice == Choice.LEFT else (worse, better)
    (said, left), (_, right) = (texts.item(conversation, side) for side in sides)
    return _judged(user, said, left, right, choice, strength)


def _pair_of_ids(texts: Texts, user: Any, a: Any, b: Any, choice: Any, strength: Any) -> Judgment | None:
    chosen = choice_of(choice)
    (said, left), (other, right) = texts.known(a), texts.known(b)
    if said != other:
        raise Refused(Reason.TWO_PROMPTS)
    return _judged(user, said, left, right, chosen, strength)


def _rating(texts: Texts, user: Any, prompt: Any, response: Any, rating: Any) -> Judgment:
    name, value = name_of(user, Reason.NO_USER), number_of(rating)
    said, item = texts.item(conversation_of(prompt), response_of(response))
    return Judgment(name, said, item, NOBODY, value)


def _vote(texts: Texts, user: Any, statement: Any, vote: Any, prompt: Any) -> Judgment:
    name, value = name_of(user, Reason.NO_USER), SIGNS[vote_of(vote)]
    by_id = texts.library is not None
    said, item = texts.known(statement) if by_id else texts.item(topic_of(prompt), response_of(statement))
    return Judgment(name, said, item, NOBODY, value)


def _indexed(
    texts: Texts, user: Any, left: Any, right: Any, choice: Any, strength: Any, prompt: Any
) -> Judgment | None:
    chosen = choice_of(choice)
    label = "" if prompt is None else str(prompt)
    sides = row_of(left, texts.table_rows), row_of(right, texts.table_rows)
    return _judged(user, texts.labels.setdefault(label, len(texts.labels)), *sides, chosen, strength)


def _judged(user: Any, said: int, left: int, right: int, choice: Choice, strength: Any) -> Judgment | None:
    name = name_of(user, Reason.NO_USER)
    if left == right:
        raise Refused(Reason.IDENTICAL)
    stated = strength_of(strength, choice)
    return Judgment(name, said, left, right, SIGNS[choice], STRENGTH_SIGNS[stated]) if choice in SIGNS else None


LIBRARY = Layout(Kind.PAIRS, ("id", "text"), ("prompt",), add_to_library)
PAIR_LIBRARY = Layout(Kind.PAIRS, ("pair_id", "prompt", "response_a", "response_b"), (), add_pair)
LIBRARIES = (LIBRARY, PAIR_LIBRARY)
"""Layouts of texts without judgments."""
LAYOUTS = (
    Layout(Kind.PAIRS, ("user", "prompt", "response_a", "response_b", "choice"), ("strength",), _pair),
    Layout(Kind.PAIRS, ("user", "chosen", "rejected"), ("prompt", "strength"), _preference),
    Layout(Kind.PAIRS, ("user", "a", "b", "choice"), ("strength",), _pair_of_ids, LIBRARY),
    Layout(Kind.PAIRS, ("user", "pair_id", "choice"), ("strength",), _pair_by_id, PAIR_LIBRARY),
    Layout(Kind.RATINGS, ("user", "prompt", "response", "rating"), (), _rating),
    Layout(Kind.VOTES, ("user", "statement", "vote"), ("prompt",), _vote),
    Layout(Kind.INDEXED, ("user", "left", "right", "choice"), ("strength", "prompt"), _indexed),
)
