"""Accept or reject a response before it is scored; a rejected one gets the floor reward and reasons, never an error.

Fixed rules on the text alone, not tunable by users: no content, trivial openers, repetition, padding, chat-template
tokens, instructions to the judge, a missing end, size. Deliberately let through: short answers ("42"), a short unit
said a few times ("no, no, no"), a sentence said twice inside a longer text (a refrain), ratings of anything but the
response itself ("I give this film 10/10"). A chat-template token is rejected even in code or quotation: any later
tokenizer would read it as a turn. Lengths that tell content from coincidence are in UTF-8 bytes, in which a Chinese
character counts three letters.
"""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from elicitation.errors import InvalidInput
from safeguards.phrases import (
    JUDGE_INSTRUCTIONS,
    META_ANCHORS,
    META_CJK,
    META_WORDS,
    OPENERS,
    TEMPLATE_HINTS,
    TEMPLATE_TOKEN,
)
from safeguards.truncation import is_truncated

REASONS = {
    "empty": "The response is empty.",
    "trivial": "The response holds punctuation or an opening phrase and nothing that answers.",
    "repeated": "The response repeats itself.",
    "padded": "The response is stretched with blanks, invisible characters or a run of one character.",
    "oversized": "The response has {size} characters > limit {limit}; shorten it or raise the limit.",
    "template_token": "The response contains a chat-template token.",
    "judge_instruction": "The response tells its judge which score to give.",
    "truncated": "The response is cut off before its end.",
}

SENTENCE_END = re.compile(r"[.!?…。！？\n]+")
CLAUSE_END = re.compile(r"[.!?…。！？:：\n]+")
RUN = 160  # characters in a row; rulers in code and text stay below
RUN_OF_ONE = re.compile(rf"(\S)\1{{{RUN - 1}}}")
BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){29}")
INVISIBLE = re.compile("[\u00ad\u115f\u200b\u2060-\u2064\u3164\ufeff\U000e0000-\U000e007f]")
INVISIBLE_ALLOWED = 24  # emoji flags of regions are spelled with a few tag characters

TRIVIAL_LENGTH = 200  # characters; no chain of openers is longer by accident
ANNOUNCEMENT = 12  # words; a single line of so few that ends with a colon announces what does not come
UNIT_BYTES = 16  # a unit this long is not repeated by coincidence
SHORT_UNIT_REPEATS, SHORT_UNIT_BYTES = 5, 20  # repeats and total bytes from which a shorter unit counts
REDUNDANT_SHARE = 0.45  # of the bytes in sentences; a villanelle reaches a third
CONSECUTIVE = 3  # equal sentences in a row; poems say a line twice
LOOP_CHARACTERS, LOOP_BYTES, LOOP_RATIO = 1000, 400, 0.1  # at the end; compressed over plain size, prose 0.5, code 0.3
LOOP_WORDS, LOOP_DISTINCT, UNSPACED = 100, 0.3, 20  # other texts need no compression: varied words, of ordinary length


@dataclass(frozen=True)
class Limits:
    """Operator's limits: the most characters a response may have."""

    max_characters: int = 32_000

    def __post_init__(self) -> None:
        if self.max_characters < 1:
            raise InvalidInput(f"max_characters = {self.max_characters} < 1; give the most characters a response has")


@dataclass(frozen=True)
class GateResult:
    """Codes of REASONS that apply, in its order, each with its sentence."""

    reasons: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.reasons


PASSED = GateResult()
DEFAULT_LIMITS = Limits()


def check(response: str, limits: Limits = DEFAULT_LIMITS) -> GateResult:
    """Judge one response; an oversized one is not read further."""
    size, limit = len(response), limits.max_characters
    reasons = ("oversized",) if size > limit else tuple(_reasons(response))
    if not reasons:
        return PASSED
    return GateResult(reasons, tuple(REASONS[reason].format(size=size, limit=limit) for reason in reasons))


def _reasons(response: str) -> Iterable[str]:
    text = response.casefold() if response.isascii() else unicodedata.normalize("NFKC", response).casefold()
    if not text.strip() or not INVISIBLE.sub("", text).strip():
        yield "empty"
        return
    if len(text) <= TRIVIAL_LENGTH and _is_trivial(text):
        yield "trivial"
    words = text.split()
    sentences = [sentence for part in SENTENCE_END.split(text) if (sentence := part.strip())]
    if _is_repeated(words, sentences):
        yield "repeated"
    if _is_padded(text, words):
        yield "padded"
    if any(hint in text for hint in TEMPLATE_HINTS) and TEMPLATE_TOKEN.search(text):
        yield "template_token"
    if _instructs_judge(text, sentences):
        yield "judge_instruction"
    if is_truncated(response):
        yield "truncated"


def _is_trivial(text: str) -> bool:
    clauses = (_words(clause.replace("’", "'")) for clause in CLAUSE_END.split(text))
    return _is_announcement(text) or all(not clause or clause in OPENERS or _announces(clause) for clause in clauses)


def _is_announcement(text: str) -> bool:
    """Whether the text is one short line that ends with a colon."""
    line = text.strip("*# \n")
    return line[-1:] in (":", "：") and "\n" not in line and len(line.split()) <= ANNOUNCEMENT


def _announces(clause: str) -> bool:
    """Whether a clause speaks of answering and of nothing else."""
    words = [word for part in clause.split() if (word := _words(part))]
    if META_WORDS.issuperset(words):
        return not META_ANCHORS.isdisjoint(words)
    return _is_made_of(re.sub(r"[\s,，、]", "", clause), META_CJK)


def _is_made_of(text: str, words: frozenset[str]) -> bool:
    """Whether the text is one or more of ``words`` without blanks: its reachable ends, from the left."""
    longest = max(map(len, words))
    ends = {0}
    for end in range(1, len(text) + 1):
        if any(start in ends and text[start:end] in words for start in range(max(0, end - longest), end)):
            ends.add(end)
    return bool(text) and len(text) in ends


def _words(clause: str) -> str:
    """The clause without its outer punctuation; emoji and other pictures are content."""
    keep = [i for i, c in enumerate(clause) if c.isalnum() or unicodedata.category(c) in ("So", "Mn", "Mc")]
    return clause[keep[0] : keep[-1] + 1] if keep else ""


def _is_padded(text: str, words: list[str]) -> bool:
    if any(len(word) >= RUN for word in words) and RUN_OF_ONE.search(text):
        return True
    if " " * RUN in text.replace("\t", " ") or BLANK_LINES.search(text):
        return True
    return not text.isascii() and len(INVISIBLE.findall(text)) > INVISIBLE_ALLOWED


def _instructs_judge(text: str, sentences: list[str]) -> bool:
    """Substring hints come first, in the text, then in the sentence: a pattern costs a hundred of them."""
    for hints, patterns in JUDGE_INSTRUCTIONS:
        present = [hint for hint in hints if hint in text]
        suspects = (sentence for sentence in sentences if any(hint in sentence for hint in present)) if present else ()
        if any(pattern.search(sentence) for sentence in suspects for pattern in patterns):
            return True
    return False


def _is_repeated(words: list[str], sentences: list[str]) -> bool:
    joined = " ".join(words)
    periodic = _is_periodic(joined) or _is_periodic(joined + " ")
    return periodic or _is_redundant(sentences) or _ends_in_loop(joined, words)


def _is_periodic(text: str) -> bool:
    """Whether the text is one unit several times: then it occurs in itself, doubled, before its own end."""
    period = (text + text).find(text, 1)
    if period == len(text):
        return False
    if len(text[:period].encode()) >= UNIT_BYTES:
        return True
    return " " in text[:period] and len(text) >= SHORT_UNIT_REPEATS * period and len(text.encode()) >= SHORT_UNIT_BYTES


def _is_redundant(sentences: list[str]) -> bool:
    sizes = {sentence: size for sentence in set(sentences) if (size := len(sentence.encode())) >= UNIT_BYTES}
    if len(sizes) == len(sentences):
        return False
    counts = Counter(sentence for sentence in sentences if sentence in sizes)
    total = sum(sizes[sentence] * count for sentence, count in counts.items())
    if total - sum(sizes.values()) > REDUNDANT_SHARE * total:
        return True
    windows = zip(*(sentences[i:] for i in range(CONSECUTIVE)), strict=False)
    return any(window[0] in sizes and len(set(window)) == 1 for window in windows)


def _ends_in_loop(joined: str, words: list[str]) -> bool:
    last = words[-LOOP_WORDS:]
    if len(set(last)) > LOOP_DISTINCT * len(last) and len(joined) < UNSPACED * len(words):
        return False
    tail = joined[-LOOP_CHARACTERS:].encode()
    return len(tail) >= LOOP_BYTES and len(zlib.compress(tail)) < LOOP_RATIO * len(tail)
