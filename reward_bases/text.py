"""Conversations and their digests.

A conversation keeps its roles and system prompt; equality and caching go by the SHA-256 of its canonical JSON.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from elicitation.errors import InvalidInput

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
"""The role of a turn by the name that is sent."""
CALL = "tool call: "
"""Before each call of a tool where a turn is one text."""


def digest(text: str) -> str:
    """SHA-256 of ``text`` in UTF-8, as 64 hex digits; unpaired surrogates are kept apart from real characters."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True)
class Turn:
    """A turn of a chat with tools: its words, and each call of a tool as ``NAME ARGUMENTS``."""

    role: str
    words: str
    calls: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """The words, then each call on a line."""
        return "\n".join([*filter(None, [self.words]), *(f"{CALL}{call}" for call in self.calls)])


@dataclass(frozen=True)
class Conversation:
    """The turns before a response, oldest first; at least one of them is the user's."""

    messages: tuple[Message, ...]

    @classmethod
    def of(cls, prompt: str | Sequence[Mapping[str, str]]) -> "Conversation":
        """From a plain prompt (one user turn) or messages ``{role, content}``; raises InvalidInput otherwise."""
        if isinstance(prompt, str):
            return cls((Message("user", prompt),))
        messages = tuple(Message(str(turn.get("role", "")), str(turn.get("content", ""))) for turn in prompt)
        for message in messages:
            if message.role not in ROLES:
                raise InvalidInput(f"role {message.role!r} is not one of {', '.join(ROLES)}; rename it")
        messages = tuple(Message(ROLES[message.role], message.content) for message in messages)
        if not any(message.role == "user" for message in messages):
            raise InvalidInput(f"{len(messages)} messages hold no user turn; a conversation needs at least one")
        return cls(messages)

    @cached_property
    def digest(self) -> str:
        turns = [[message.role, message.content] for message in self.messages]
        return digest(json.dumps(turns, ensure_ascii=False, separators=(",", ":")))

    @cached_property
    def last_user(self) -> str:
        return next(message.content for message in reversed(self.messages) if message.role == "user")

    @cached_property
    def plain(self) -> str:
        """The turns as one text; a single user turn as it is, several with their roles before them."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n".join(f"{message.role}: {message.content}" for message in self.messages)

    def window(self, limit: int) -> str:
        """Text for the encoder, ``limit`` characters at most beyond the last user turn, which is kept whole.

        The last user turn comes first, then the system prompt, then the other turns from the newest back, as they fit.
        """
        parts, room = [self.last_user], limit - len(self.last_user)
        asked = max(i for i, message in enumerate(self.messages) if message.role == "user")
        newest_first = [message for i, message in reversed(list(enumerate(self.messages))) if i != asked]
        for message in sorted(newest_first, key=lambda m: m.role != "system"):
            room -= len(message.content) + 1
            if room < 0:
                break
            parts.append(message.content)
        return "\n".join(parts)
