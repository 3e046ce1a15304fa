"""The settings' limits on what a request holds; every refusal names the value, the limit and the remedy."""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from app.schemas.messages import Message, Text, turns
from app.settings import Settings
from elicitation.errors import InvalidInput
from reward_bases.reading import each
from reward_bases.reading_rule import ReadingRule, View
from reward_bases.text import Conversation, Turn

USER, ASSISTANT, TOOL = "user", "assistant", "tool"
TEXT = "max_text_chars"
TEMPLATE_CHARS = 64
"""Characters that a chat template writes around one message."""


def require_at_most(what: str, number: int, setting: str, settings: Settings) -> None:
    """Raises InvalidInput when ``number`` exceeds the setting."""
    limit = getattr(settings, setting)
    if number > limit:
        raise InvalidInput(f"{number} {what} > limit {limit}; split the request or raise KEEL_{setting.upper()}")


def foreign(request: BaseModel, settings: Settings) -> int:
    """The number of characters in a foreign request; raises InvalidInput when a list or a text of it is too long.

    A rendered text holds a prompt and a response, and a few characters of its template at each message.
    """
    rows = max(settings.max_items, settings.max_messages)
    longest = total = 0
    for value in _sized(request):
        if isinstance(value, list):
            if len(value) > rows:
                require_at_most("items in one list", len(value), "max_items", settings)
        else:
            longest, total = max(longest, len(value)), total + len(value)
    if longest > 2 * settings.max_text_chars + TEMPLATE_CHARS * settings.max_messages:
        require_at_most("characters in one text", longest, "max_text_chars", settings)
    return total


def _sized(value: object) -> Iterator[str | list[object]]:
    """Every declared list and text of a request, lists first; labels, which are of any shape, are not read."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield value
        for item in value:
            yield from _sized(item)
    elif isinstance(value, BaseModel):
        for item in value.__dict__.values():
            yield from _sized(item)


def conversations(prompts: Sequence[Text], settings: Settings) -> list[Conversation]:
    """Each prompt as a conversation; equal plain prompts share one object."""
    plain = {prompt: conversation(prompt, settings) for prompt in prompts if isinstance(prompt, str)}
    return [plain[prompt] if isinstance(prompt, str) else conversation(prompt, settings) for prompt in prompts]


def conversation(prompt: Text, settings: Settings) -> Conversation:
    """A prompt as a conversation; raises InvalidInput when it is empty or too long."""
    asked = [Turn(USER, prompt)] if isinstance(prompt, str) else _turns(prompt, "prompt", settings)
    if not any(turn.words.strip() for turn in asked):
        raise InvalidInput("a prompt is empty; say what the response answers, in words: images and files are not read")
    written = [{"role": turn.role, "content": turn.written} for turn in asked]
    require_at_most("characters in one prompt", sum(len(turn["content"]) for turn in written), TEXT, settings)
    return Conversation.of(written)


async def responses(completions: Sequence[Text], view: View, reading: ReadingRule, settings: Settings) -> list[str]:
    """Each completion as text: its own, or the view of its messages. An empty one is left to the gate.

    Messages are read on another thread. Raises InvalidInput for too long a response, or one that others speak in.
    """

    def read(completion: Text) -> str:
        return _response(completion, view, reading, settings)

    if all(isinstance(completion, str) for completion in completions):
        return [read(completion) for completion in completions]
    return await each(read, completions)


def _response(completion: Text, view: View, reading: ReadingRule, settings: Settings) -> str:
    text = completion if isinstance(completion, str) else _viewed(completion, view, reading, settings)
    require_at_most("characters in one response", len(text), TEXT, settings)
    return text


def _viewed(messages: Sequence[Message], view: View, reading: ReadingRule, settings: Settings) -> str:
    said = _turns(messages, "response", settings)
    others = {turn.role for turn in said} - {ASSISTANT, TOOL}
    if others:
        raise InvalidInput(
            f"a completion holds a message of role {min(others)!r}; only {ASSISTANT!r} can be scored, with what "
            f"{TOOL!r} gave it"
        )
    return reading.of_trajectory(said, view)


def _turns(messages: Sequence[Message], where: str, settings: Settings) -> list[Turn]:
    """The turns of messages; raises InvalidInput when there are too many, or too many blocks or calls in one."""
    require_at_most(f"messages in one {where}", len(messages), "max_messages", settings)
    for message in messages:
        longest = max(map(len, message.lists))
        require_at_most("blocks or calls in one message", longest, "max_messages", settings)
    return turns(messages)
