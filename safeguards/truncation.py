"""Whether a response was cut off before its end, as by a limit on tokens.

Read from the last line alone, beside the habits of the lines before it. Cut off is

* a code fence, or a JSON text, that is never closed;
* an end on an opening bracket, a comma or a hyphen, or on a word that no sentence ends with ("of the"), where more
  than a word stands before it;
* an end after a colon, which announces what does not come;
* a last sentence without its stop, of at least FRAGMENT words, where all the text's other sentences have theirs, or
  with a bracket or quotation still open; a last list item without the stop that all items before it have.

Headings, code, tables, verses, formulas and signatures end without stops, so a stop is missed only in
running prose. A text cut exactly between two sentences looks like a whole one.
"""

import re

from safeguards.phrases import vocabulary

LAST_WORDS = vocabulary("""
a an the and or but nor of to in on at by for with from into onto upon than as if because although while whereas unless
until is are was were be been being has have had will would shall should can could may might must do does did which who
whose whom that this these those my your his her its our their every each some any no not very more most such so too
also between among through during without within against toward towards about above below under over per via like
when where how what why it's they're we're you're i'm he's she's there's don't doesn't isn't aren't won't can't
der die das den dem des ein eine einen einem einer und oder aber von zu mit für auf aus bei nach dass weil wenn ist sind
el la los las un una unos unas y o pero de del en con por para que se su sus es son
le les des du au aux une et ou mais dans avec pour sur qui que ne est sont
il lo gli uno e di del della che con per nel nella sono
os as um uma em do da dos das ao pelo pela não
""")
"""Words that need another after them; those that end English sentences too ("that", "no") count in long ones only."""
ENDERS = vocabulary(
    "to in on at by for with from is are was were be been has have had will would can could may might must do does did "
    "who that this these those his her some any no not very more most so too also about above below under over like "
    "when where how what why may through within without against as of isn't aren't don't doesn't won't can't "
    "um die das a as y o e i il la le se es so don't mit aus bei nach zu auf do da em"
)
"""Those of LAST_WORDS with which somebody may stop ("what is it for", "I think so"): only in a long sentence a sign."""
PROSE = 3  # words before a last word, from which a line is read as prose
LONG = 6  # the same, for ENDERS
FRAGMENT = 4  # words of a last sentence without its stop
STOPPED = 2  # sentences with stops that show the habit
STOPS = ".!?…。！？؟۔।。｡"
CLOSERS = "\"'”’»)]}*_`~>）」』】›"
OPENERS = {"(": ")", "[": "]", "{": "}", "“": "”", "«": "»", "（": "）", "「": "」"}

_FENCE = re.compile(r"^\s{0,3}(?:```|~~~)", re.M)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PLAIN = re.compile(r"^(?!\s{4}|\s*(?:[#>|*+•-]|\d+[.)]|```|~~~|\$|\\))\s*\S")
_ITEM = re.compile(r"^\s*(?:[*+•-]|\d{1,3}[.)])\s+\S")
_NOT_PROSE = re.compile(r"[=<>{}|\\/@#]|https?:|\w\(|;$|\*\*$")
_STOP = re.compile(rf"[。！？｡]|[{re.escape(STOPS)}][{re.escape(CLOSERS)}]*(?=\s|$)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?P<closed>"?)')
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def is_truncated(text: str) -> bool:
    """Whether ``text`` ends before its end; see above for the signs."""
    whole = text.rstrip()
    if len(_FENCE.findall(whole)) % 2:
        return True
    if whole[:1] in ("{", "["):
        return _unbalanced(whole)
    lines = whole.splitlines()
    last = lines[-1].strip() if lines else ""
    if _NOT_PROSE.search(last) or _FENCE.match(last):
        return False
    return _ends_open(last) or _breaks_habit(whole, lines, last)


def _unbalanced(text: str) -> bool:
    """Whether a text that begins as JSON leaves a bracket open; brackets inside strings do not count."""
    plain = _STRING.sub(lambda string: "" if string["closed"] else string[0], text)
    return any(plain.count(opening) > plain.count(OPENERS[opening]) for opening in "[{")


def _ends_open(last: str) -> bool:
    """Whether a line ends on something that must be followed."""
    words = [word.casefold() for word in _WORD.findall(last)]
    if len(words) <= PROSE or last[-1] in STOPS:
        return False
    if last[-1] in ",([{-–:;，、：；":
        return last[-1] not in ":-–" or not last.startswith(("#", "*"))
    if not last[-1].isalpha():
        return False
    sentence = [word.casefold() for word in _WORD.findall(_STOP.split(last)[-1])]
    final = sentence[-1] if sentence else ""
    return final in LAST_WORDS and len(sentence) > (LONG if final in ENDERS else 1)


def _breaks_habit(whole: str, lines: list[str], last: str) -> bool:
    """Whether the last sentence alone lacks its stop, in prose whose other sentences all have theirs."""
    if last.rstrip(CLOSERS)[-1:] in STOPS:
        return False
    if _ITEM.match(last):
        items = [line.rstrip().rstrip(CLOSERS) for line in lines[:-1] if _ITEM.match(line)]
        return len(items) >= STOPPED and all(item[-1:] in STOPS for item in items)
    if not _PLAIN.match(lines[-1]) or not last[-1].isalnum():
        return False
    fragment = _STOP.split(whole)[-1]
    size = len(_CJK.findall(fragment)) or len(_WORD.findall(fragment))
    if "\n" in fragment.strip() or size < FRAGMENT:
        return False
    if any(fragment.count(opening) > fragment.count(closing) for opening, closing in OPENERS.items()):
        return True
    prose = [line.strip() for line in lines[:-1] if _PLAIN.match(line) and len(_WORD.findall(line)) > LONG]
    stopped = all(line.rstrip(CLOSERS)[-1:] in f"{STOPS}:" for line in prose)
    return stopped and len(_STOP.findall(whole)) >= STOPPED
