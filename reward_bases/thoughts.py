"""What a person is shown of a response: the text without the blocks in which a model thinks.

A block is closed by the tag of its own kind; it and the blanks behind it are taken off. A closing tag alone ends a
thought that began before the response, as chat templates that open it in the prompt give: all before it is taken off. A
block that is never closed reaches to the end.

Quotations stay: `<think>` and `<think>…</think>` between backticks, and all tags in code. Code stands outside thoughts,
between a run of three or more backticks and the next run of that length; a run that none follows is none.

A response in harmony's channels, which begins with one, is read as its final message, or as nothing without one.

Time is linear in the text. A text that was read stays as it is when it is read again.
"""

import re
from collections import Counter
from collections.abc import Sequence

NAMES = ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think")
CLOSING = {
    **{f"<{name}>": f"</{name}>" for name in NAMES},
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|channel>thought": "<channel|>",
}
"""The closing tag of each opening one, in lower case; texts have them in any case."""
MARKS = ("<|begin_of_solution|>", "<|end_of_solution|>", "<|start_response|>", "<|end_response|>")
"""Stand around an answer beside a block, and are taken off."""
FIRST_CHARACTERS = "<[◁"
OPENS, CLOSES = ("|".join(re.escape(tag[1:]) for tag in tags) for tags in ((*CLOSING, *MARKS), CLOSING.values()))
FENCE = re.compile("`{3,}")
TAG = rf"[{re.escape(FIRST_CHARACTERS)}](?:(?<!`.)(?:{OPENS})|(?:{CLOSES})(?!`))\s*"
"""A tag with the blanks behind it."""
TOKEN = re.compile(rf"(?ai)(?P<fence>{FENCE.pattern})|{TAG}")
CHANNEL = "<|channel|>"
FINAL = f"{CHANNEL}final<|message|>"
IN_CHANNELS = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>")
ENDS = ("<|return|>", "<|end|>")


def without_thoughts(text: str) -> str:
    """The text without its thoughts, itself if it has none; empty where nothing was said outside them."""
    if any(character in text for character in FIRST_CHARACTERS):
        return _outside(_final(_outside(text)))
    return text


def _outside(text: str) -> str:
    kept: list[str] = []
    place, awaited, code = 0, None, None
    ahead = Counter(FENCE.findall(text))
    for found in TOKEN.finditer(text):
        tag = found[0].rstrip().lower()
        if found["fence"]:
            ahead[tag] -= 1
            if awaited is None and code in (None, tag):
                code = tag if code is None and ahead[tag] else None
            continue
        if code:
            continue
        if awaited is None and (tag in CLOSING or tag in MARKS):
            kept.append(text[place : found.start()])
            awaited = CLOSING.get(tag)
        elif awaited is None:
            kept = []
        elif tag == awaited:
            awaited = None
        place = found.end()
    return _joined(kept if awaited else [*kept, text[place:]])


def _joined(parts: Sequence[str]) -> str:
    """The parts that say something, with a blank between them, so that their ends make no new tag."""
    if len(parts) == 1:
        return parts[0]
    said = [part for part in parts if part.strip()]
    return "".join(part if part[-1].isspace() else f"{part}\n" for part in said[:-1]) + "".join(said[-1:])


def _final(text: str) -> str:
    if not IN_CHANNELS.match(text):
        return text
    _, found, final = text.rpartition(FINAL)
    for end in ENDS:
        final = final.removesuffix(end)
    return final if found and CHANNEL not in final else ""
