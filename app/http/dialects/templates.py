"""Rendered chat text back to messages, and a response out of the text that a model was given and continued.

A door that sends one string needs a chat template to split prompt from response. Templates are recognised by their
tokens; what a template writes of its own (a default system prompt, a date) is taken off again, so that a rendered
conversation scores as the messages it was rendered from.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from app.schemas.messages import Message, Text
from elicitation.errors import InvalidInput

MAX_TURNS = 1_000
"""Turns read from one rendered text; ``KEEL_MAX_MESSAGES`` bounds a conversation further."""
PLAIN = "plain"
"""The template's name for text that is not to be parsed."""
PROMPT, RESPONSE = "{prompt}", "{response}"
TEMPLATE_CHARS = 1_000
"""Characters of a pattern with both."""
Role = Literal["system", "user", "assistant", "tool"]
ROLES: Mapping[str, Role] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "ipython": "tool",
    "User": "user",
    "Assistant": "assistant",
    "[INST]": "user",
    "[/INST]": "assistant",
    "<<SYS>>": "system",
    "<</SYS>>": "user",
    "[SYSTEM_PROMPT]": "system",
}
START_TOKENS = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>")
END_TOKENS = (
    *("</s>", "<eos>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<end_of_turn>", "<turn|>"),
    *("<|end|>", "<|return|>", "<｜end▁of▁sentence｜>", "[/SYSTEM_PROMPT]"),
    *("<pad>", "[PAD]", "<|pad|>", "<|endoftext|>", "<|finetune_right_pad_id|>", "<unk>"),
)
TOKENS = START_TOKENS + END_TOKENS
LAST_CHARACTERS = frozenset(token[-1] for token in TOKENS)
LEADING = re.compile(rf"(?:\s*(?:{'|'.join(map(re.escape, TOKENS))}))*\s*")
PREAMBLE = re.compile(
    r"\A(?:Cutting Knowledge Date: [^\n]*\nToday Date: [^\n]*\n\n"
    r"|You are Qwen, created by Alibaba Cloud\. You are a helpful assistant\.\Z"
    r"|You are a helpful AI assistant named SmolLM, trained by Hugging Face\Z)"
)
"""Texts that templates add by themselves."""
BEGUN = re.compile(r"\s*(?:<think>\s*(?:</think>\s*)?)?")
"""All that stands in the assistant's turn before the model goes on."""
CUT_CHARS, CUT_PLACES = 32, 8
"""A prompt that a trainer cut on its left is found by its first characters, if they are among its first places."""


@dataclass(frozen=True)
class Template:
    """``opening`` matches the start of a turn and names its ``role``.

    ``trims`` when blanks around a turn are the template's; ``preface`` when a system prompt stands before all turns.
    """

    opening: re.Pattern[str]
    trims: bool = False
    preface: bool = False

    def fits(self, text: str) -> bool:
        """Whether the text begins as one rendered with this template does."""
        if self.preface:
            return self.opening.search(text) is not None
        return self.opening.match(text, _begin(text)) is not None

    def messages(self, text: str) -> list[Message]:
        """The turns of a rendered text, the last one whole or begun; raises InvalidInput on a role nobody can score."""
        openings = list(islice(self.opening.finditer(text), MAX_TURNS + 1))
        if len(openings) > MAX_TURNS:
            raise InvalidInput(f"a rendered text holds over {MAX_TURNS} turns; send the last turns alone")
        if not openings:
            raise InvalidInput("the text holds no turn of its template; name the template it was rendered with")
        ends = [opening.start() for opening in openings[1:]] + [len(text)]
        turns: list[tuple[Role, str]] = [("system", text[_begin(text) : openings[0].start()].strip())]
        turns += [
            (role_of(o["role"]), self._content(text[o.end() : end])) for o, end in zip(openings, ends, strict=True)
        ]
        own = [(role, PREAMBLE.sub("", content) if role == "system" else content) for role, content in turns]
        return [Message(role=role, content=content) for role, content in own if content or role != "system"]

    def _content(self, segment: str) -> str:
        content = without_end(segment)
        return content.strip() if self.trims else content


ROLE_TURNS = Template(re.compile(r"<\|(?P<role>system|user|assistant)\|>"), trims=True)
BRACKETS = Template(re.compile(r"(?:\[INST\]\s*)?(?P<role><<SYS>>|<</SYS>>|\[/?INST\]|\[SYSTEM_PROMPT\])"), trims=True)
TEMPLATES: Mapping[str, Template] = {
    "chatml": Template(re.compile(r"<\|im_start\|>(?P<role>\w+)\n")),
    "llama3": Template(re.compile(r"<\|start_header_id\|>(?P<role>\w+)<\|end_header_id\|>\n\n")),
    "gemma": Template(re.compile(r"<start_of_turn>(?P<role>\w+)\n")),
    "gemma4": Template(re.compile(r"<\|turn>(?P<role>\w+)\n")),
    "deepseek": Template(re.compile(r"<｜(?P<role>User|Assistant)｜>"), preface=True),
    "llama2": BRACKETS,
    "mistral": BRACKETS,
    "zephyr": ROLE_TURNS,
    "phi": ROLE_TURNS,
    "tulu": ROLE_TURNS,
}
"""By name, in the order in which they are tried."""


def without_end(text: str) -> str:
    """A generated text without the end-of-turn and padding tokens after it; tokens inside it stay for the gate."""
    kept = end = len(text)
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        closed = end and text[end - 1] in LAST_CHARACTERS
        token = next((token for token in TOKENS if text.endswith(token, 0, end)), None) if closed else None
        if token is None:
            return text[:kept]
        kept = end = end - len(token)


def conversation(prompt: str, template: str | None = None) -> Text:
    """A prompt's messages, if it is rendered chat text or ``template`` says so; else the prompt as it is."""
    chosen = _chosen(prompt, template)
    if chosen is None:
        return prompt
    messages = chosen.messages(prompt)
    begun = messages and messages[-1].role == "assistant" and BEGUN.fullmatch(messages[-1].words)
    return _some(messages[:-1] if begun else messages)


def split(text: str, template: str | None = None) -> tuple[Text, str]:
    """Prompt and response of one string that holds both; raises InvalidInput when nothing tells them apart."""
    if template is not None and PROMPT in template and RESPONSE in template:
        return _split_by(template, text)
    chosen = _chosen(text, template)
    if chosen is None:
        raise InvalidInput(
            "one string holds prompt and response, and no chat template that Keel knows tells them apart; send "
            f"?template= with one of {', '.join(TEMPLATES)}, or a pattern with {PROMPT} and {RESPONSE}"
        )
    *asked, last = chosen.messages(text)
    if last.role != "assistant":
        raise InvalidInput(f"the last turn is the {last.role}'s; end the string with the assistant's response")
    return _some(asked), last.words


def continuation(query: str, prompt: str) -> str:
    """The response after ``prompt``: ``query`` without it and without the tokens that end a text.

    Tokens before the prompt may differ, and a trainer may have cut the prompt on its left.
    """
    if query.startswith(prompt):
        return without_end(query[len(prompt) :])
    query, prompt = query[_begin(query) :], prompt[_begin(prompt) :]
    place = 0
    for _ in range(CUT_PLACES):
        if query.startswith(prompt[place:]):
            return without_end(query[len(prompt) - place :])
        place = prompt.find(query[:CUT_CHARS], place + 1)
        if place < 0 or len(prompt) - place < CUT_CHARS:
            break
    raise InvalidInput("a query does not begin with its prompt; send the text of the prompt as the model was given it")


def _begin(text: str) -> int:
    """Index of the text's start after its start and padding tokens."""
    match = LEADING.match(text)
    return match.end() if match else 0


def _some(messages: list[Message]) -> list[Message]:
    if not messages:
        raise InvalidInput("a rendered prompt holds no turn before the response; render the user's turn with it")
    return messages


def _chosen(text: str, name: str | None) -> Template | None:
    if name is None:
        return next((template for template in TEMPLATES.values() if template.fits(text)), None)
    _require_name(name)
    return TEMPLATES.get(name)


def known(template: str) -> str:
    """The template; raises InvalidInput for what is neither a name nor a pattern, whether or not a text needs it."""
    if not (PROMPT in template and RESPONSE in template):
        _require_name(template)
    return template


def _require_name(name: str) -> None:
    if name != PLAIN and name not in TEMPLATES:
        raise InvalidInput(f"template {name[:40]!r} is unknown; known are {PLAIN}, {', '.join(TEMPLATES)}")


def _split_by(pattern: str, text: str) -> tuple[str, str]:
    """By a pattern such as ``Human: {prompt}\\nAssistant: {response}``; the last place that fits divides."""
    first, second = sorted((PROMPT, RESPONSE), key=pattern.index)
    before, rest = pattern.split(first, 1)
    between, after = rest.split(second, 1)
    whole = without_end(text[_begin(text) :])
    end = len(whole) - len(after)
    divided = whole.rfind(between, len(before), end)
    if divided < 0 or not (whole.startswith(before) and whole.endswith(after)):
        raise InvalidInput(f"a text does not fit the template {pattern[:80]!r}; send the one it was rendered with")
    parts = {first: whole[len(before) : divided], second: whole[divided + len(between) : end]}
    return parts[PROMPT], parts[RESPONSE]


def role_of(name: str) -> Role:
    """Keel's name of a turn's role; raises InvalidInput for an unknown role."""
    if name not in ROLES:
        raise InvalidInput(f"a turn of role {name[:40]!r} cannot be read; send system, user, assistant and tool turns")
    return ROLES[name]
