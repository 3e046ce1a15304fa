"""Surface features: what sentence embeddings cannot see.

``surface(text)`` gives a vector of ``len(SURFACE_NAMES)`` plain numbers for one response: lengths, layout, punctuation,
rates of the frozen word lists (per sentence) and, for traits that live in one clause, their maximum over sentences.
``relation(last_user, text)`` gives what ties a response to the words it answers. Both are pure and deterministic.
Readability is the Flesch–Kincaid grade (Kincaid et al. 1975), with syllables counted as vowel groups.
"""

import itertools
import math
import re
from functools import cache

from reward_bases.sources.lexicon import LISTS

RATES = tuple(LISTS)
MAXIMA = ("hedging", "warmth", "caution", "example", "technical", "casual", "formal", "weighing", "certainty")
SHAPE_NAMES = (
    "log_words",
    "sentence_words",
    "longest_sentence",
    "word_letters",
    "long_words",
    "very_long_words",
    "grade",
    "list_items",
    "list_share",
    "numbered_items",
    "headings",
    "bold",
    "code",
    "paragraphs",
    "questions",
    "ends_with_question",
    "exclamations",
    "contractions",
    "commas",
    "semicolons_and_colons",
    "dashes",
    "parentheses",
    "quotes",
    "digits",
    "capitalised",
    "new_word_share",
    "you_start",
    "ly_words",
)
SURFACE_NAMES = SHAPE_NAMES + tuple(f"{name}_rate" for name in RATES) + tuple(f"{name}_max" for name in MAXIMA)
RELATION_NAMES = ("echo", "echo_order", "log_length_ratio")

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+")
_LIST_ITEM = re.compile(r"^[^\S\n]*(?:[-*•+]|\d{1,2}[.)]|[a-z][.)])\s+", re.M)
_NUMBERED = re.compile(r"^[^\S\n]*\d{1,2}[.)]\s+", re.M)
_HEADING = re.compile(r"^[^\S\n]*(?:#{1,6}\s+\S|\*\*[^*\n]{1,60}\*\*:?\s*$|[A-Z][^.!?\n]{1,40}:\s*$)", re.M)
_CODE = re.compile(r"```|`[^`\n]+`|(?P<indent>(?:\A|\n)(?=\s{4})\s++)")
_CODE_LINE = re.compile(r"\S.*[;{}()=]")
_VOWELS = re.compile(r"[aeiouy]+")
_CONTRACTION = re.compile(r"\b[a-z]+['’](?:s|t|re|ve|ll|d|m)\b", re.I)
_CAPITALISED = re.compile(r"(?<=[a-z,;:] )[A-Z][a-z]+")
_YOU_START = re.compile(r"^\W*(?:you|your|i|we|it|that|this)\b", re.I)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    words, *phrases = LISTS[name].split("|")
    entries = words.split() + [" ".join(phrase.split()) for phrase in phrases]
    forms = sorted((re.escape(e).replace(r"\*", r"\w*").replace("'", "['’]") for e in entries), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?=\w)(?:{'|'.join(forms)})(?!\w)", re.I)


def sentences(text: str) -> list[str]:
    """The non-empty sentences or lines of ``text``; a text without letters is one sentence."""
    parts = [part for part in _SENTENCE_END.split(text) if _WORD.search(part)]
    return parts or [text]


def _syllables(word: str) -> int:
    groups = len(_VOWELS.findall(word.lower()))
    return max(1, groups - (word.lower().endswith("e") and groups > 1))


def surface(text: str) -> list[float]:
    """Feature values in the order of ``SURFACE_NAMES`` for one response."""
    parts = sentences(text)
    counts = {name: [len(_pattern(name).findall(part)) for part in parts] for name in RATES}
    rates = [sum(counts[name]) / len(parts) for name in RATES]
    return _shape(text, parts) + rates + [float(min(max(counts[name]), 4)) for name in MAXIMA]


def _shape(text: str, parts: list[str]) -> list[float]:
    words = _WORD.findall(text) or [""]
    n, s = len(words), len(parts)
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    items = len(_LIST_ITEM.findall(text))
    lengths = [len(_WORD.findall(part)) for part in parts]
    letters = [len(word) for word in words]
    grade = 0.39 * n / s + 11.8 * sum(map(_syllables, words)) / n - 15.59
    return [
        math.log1p(n),
        n / s,
        float(max(lengths)),
        sum(letters) / n,
        sum(length >= 7 for length in letters) / n,
        sum(length >= 10 for length in letters) / n,
        grade,
        math.log1p(items),
        items / len(lines),
        math.log1p(len(_NUMBERED.findall(text))),
        math.log1p(len(_HEADING.findall(text))),
        math.log1p(text.count("**") // 2),
        math.log1p(_code(text)),
        math.log1p(text.count("\n\n")),
        text.count("?") / s,
        float("?" in parts[-1]),
        text.count("!") / s,
        len(_CONTRACTION.findall(text)) / s,
        text.count(",") / s,
        (text.count(";") + text.count(":")) / s,
        len(re.findall(r"\s[-–]\s|—", text)) / s,
        text.count("(") / s,
        len(re.findall(r"[\"“”]", text)) / s,
        len(re.findall(r"\d+", text)) / s,
        len(_CAPITALISED.findall(text)) / s,
        len({word.lower() for word in words}) / math.sqrt(n),
        sum(bool(_YOU_START.search(part)) for part in parts) / s,
        sum(word.endswith("ly") for word in words) / n,
    ]


def _code(text: str) -> int:
    """Fences, spans in backticks, and indented lines with a sign of code; every blank is read once."""
    count = place = 0
    while match := _CODE.search(text, place):
        line = _CODE_LINE.match(text, match.end()) if match["indent"] else match
        count += line is not None
        place = match.end() if line is None else line.end()
    return count


def relation(last_user: str, text: str) -> list[float]:
    """How far a response repeats the user's content words and word pairs (shares), and the log ratio of lengths."""
    asked = [word.lower() for word in _WORD.findall(last_user)]
    said = [word.lower() for word in _WORD.findall(text)]
    content = {word for word in asked if len(word) > 3}
    pairs = set(itertools.pairwise(asked))
    echo = len(content & set(said)) / max(1, len(content))
    order = len(pairs & set(itertools.pairwise(said))) / max(1, len(pairs))
    return [echo, order, math.log1p(len(said)) - math.log1p(len(asked))]
