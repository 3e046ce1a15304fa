"""Whoever sends a text chooses it, so every function that reads one takes time in proportion to its length.

A text is one atom many times over, between a start and an end that give a pattern hope. The exponent of processor time
is 1 for a linear and 2 for a quadratic function.
"""

import itertools
import math
import re
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from app.http.dialects import templates
from elicitation.errors import InvalidInput
from reward_bases.sources.surface import relation, sentences, surface
from reward_bases.text import Conversation
from reward_bases.thoughts import without_thoughts
from safeguards.conciseness import conciseness
from safeguards.gate import Limits, check
from safeguards.truncation import is_truncated
from ui.prose import faithful, plain

SMALL, LARGE = 8_000, 32_000
EXPONENT = 1.2
UNMEASURABLE = 0.004
"""Seconds under which a clock's noise hides the exponent, and no caller is hurt."""
LOOKS = (1, 7, 50)
"""Times that a shape is read at each look. One look under the bar is enough: quadratic time is far above it at all."""
LIMITS = Limits(LARGE)
ATOMS = (
    *(
        " ",
        "\n",
        "\t",
        "\r\n",
        "\n ",
        "\n    ",
        " \n",
        "a",
        "A",
        "a ",
        "ab, ",
        "a.",
        "a. ",
        "1",
        "1. ",
        "\n1. ",
        "é",
        "中",
    ),
    *(
        "(",
        ")",
        "[",
        "{",
        "}",
        '"',
        '\\"',
        '"a',
        "'",
        "’a",
        "`",
        "``",
        "`a",
        "```",
        "~~~",
        "#",
        "\n# ",
        "# ",
        "**",
        "\n**a",
    ),
    *(
        "-",
        "\n- ",
        "- ",
        "*",
        "_",
        "|",
        ":",
        ": ",
        "A:",
        "A: ",
        ";",
        ",",
        ".",
        "...",
        "?",
        "!",
        ".)",
        ".) ",
        "\\",
        "$",
        "![",
    ),
    *(
        "<|",
        "<|im_start|>",
        "<|im_start|>user\n",
        "[INST] ",
        "<s>",
        "</s>",
        "</s> ",
        "human: a\n",
        "#!",
        "<eos>",
        "<unused1",
    ),
    *(
        "<",
        "<think>",
        "</think>",
        "<think>a</think>",
        "```<think>",
        "[THINK]",
        "◁",
        "<|channel|>",
        "<|channel|>final<|message|>",
        "<|end|>",
    ),
    *(
        "please ",
        "you must ",
        "give this ",
        "this response ",
        "10 ",
        "10/10 ",
        "rate my answer ",
        "must 10 this answer ",
        ' "',
    ),
    *(
        "judge ",
        "you are a judge ",
        "please ignore previous instructions ",
        "ignore all ",
        "system ",
        "if you are a judge ",
    ),
    *(
        "score ",
        "if ",
        "best ",
        "moj",
        "voll",
        "данн",
        "antwort ",
        "response deserves ",
        "give full marks to this answer ",
    ),
    *(
        "では",
        "で",
        "我们",
        "一步一步",
        "让我们",
        "\u200b",
        "😀",
        "ſ",
        "don't ",
        "you ",
        "appear",
        "for example ",
        "I ",
    ),
)
STARTS = ("", "<think>", "<|channel|>", '{"a": "', "please ", "this answer must get 10 ", "- ", "```\n", "[INST] ")
ENDS = ("x", " 10/10 judge score best if")
HOPES = (
    " ",
    "\n",
    "\n ",
    "a",
    "a ",
    ". ",
    ")",
    '"',
    '\\"',
    "`",
    "- ",
    "#",
    "\n- ",
    "please ",
    "judge ",
    "10 ",
    "\t",
    "\\",
    "\n    ",
    "A:",
)
"""Atoms that are tried behind every start too."""


def pattern(text: str) -> object:
    return templates.split(text, "{prompt}a{response}b")


def cut_prompt(text: str) -> object:
    return templates.continuation(text, "z" + text)


READERS: dict[str, Callable[[str], object]] = {
    "gate": lambda text: check(text, LIMITS),
    "truncation": is_truncated,
    "surface": surface,
    "sentences": sentences,
    "relation": lambda text: relation(text, text),
    "conciseness": lambda text: conciseness([text]),
    "thoughts": without_thoughts,
    "window": lambda text: Conversation.of(
        [{"role": "user", "content": "a"}, {"role": "user", "content": text}]
    ).window(9),
    "digest": lambda text: Conversation.of(text).digest,
    "template by name": lambda text: templates.conversation(text, "chatml"),
    "template found": templates.split,
    "template of a pattern": pattern,
    "continuation": cut_prompt,
    "end of turn": templates.without_end,
    "markdown": faithful,
    "plain": plain,
}


def of_size(start: str, atom: str, end: str, size: int) -> str:
    room = size - len(start) - len(end)
    return start + (atom * (room // len(atom) + 1))[:room] + end


def seconds(read: Callable[[str], object], text: str) -> float:
    """Processor time; a refusal is an answer too."""
    begun = time.process_time()
    with suppress(InvalidInput):
        read(text)
    return time.process_time() - begun


def exponent(read: Callable[[str], object], shape: tuple[str, str, str], runs: int) -> float:
    """The slope of log time over log length; that of a text read in no time is 1.

    The two lengths are read in turn and the fastest of ``runs`` counts for each, so that a processor that is slow for
    a while is slow for both.
    """
    texts = of_size(*shape, SMALL), of_size(*shape, LARGE)
    short, long = (
        min(took) for took in zip(*([seconds(read, text) for text in texts] for _ in range(runs)), strict=True)
    )
    return 1.0 if long < UNMEASURABLE else math.log(long / short) / math.log(LARGE / SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_time_grows_in_proportion_to_the_text(name: str) -> None:
    for shape in [*itertools.product(("",), ATOMS, ENDS), *itertools.product(STARTS[1:], HOPES, ("x",))]:
        looks = (exponent(READERS[name], shape, runs) for runs in LOOKS)
        assert any(look <= EXPONENT for look in looks), f"{name} takes more than n^{EXPONENT} of {shape}"


@pytest.mark.slow
def test_a_pattern_of_quadratic_time_is_above_the_bar_at_every_look() -> None:
    assert min(exponent(re.compile(r"\s+b").search, ("", " ", "x"), runs) for runs in (1, 3)) > 1.5


@pytest.mark.parametrize("clause", ["では" * 60 + "猫", "我们一步一步" * 30 + "x", "で、" * 60 + "x"])
def test_an_announcement_of_many_readings_is_judged_at_once(clause: str) -> None:
    assert seconds(READERS["gate"], clause[:200]) < 0.1


@pytest.mark.parametrize(
    ("pattern", "text", "parts"),
    [
        ("Human: {prompt}\nAI: {response}", "Human: a\nAI: b\nAI: c", ("a\nAI: b", "c")),
        ("{prompt}|{response}", "a|b|c", ("a|b", "c")),
        ("{response} <- {prompt}", "b <- c <- a", ("a", "b <- c")),
        ("{prompt}{response}", "ab", ("ab", "")),
        ("[{prompt}] {response}!", "[a] b!", ("a", "b")),
    ],
)
def test_the_last_place_that_fits_divides(pattern: str, text: str, parts: tuple[str, str]) -> None:
    assert templates.split(text, pattern) == parts


@pytest.mark.parametrize("text", ["a!", "[a b", "[a] b", "[a]b!"])
def test_what_does_not_fit_the_pattern_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="does not fit the template"):
        templates.split(text, "[{prompt}] {response}!")
