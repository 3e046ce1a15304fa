"""Other people's Markdown, made safe to show.

Streamlit already shows raw HTML as text. What is left to disarm: images and diagrams (a fenced block of the language
``mermaid`` is drawn, pictures in it included), which would fetch an address from the reader's browser, and Streamlit's
own inventions (``$…$`` mathematics, ``:red[…]``, ``:smile:``), which would change what an answer says. Code is left as
it stands; an image is disarmed there too, since a parser may see no code where this module sees some.
"""

import html
import re

CODE = re.compile(r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|(?<!`)`[^`\n]+`(?!`))", re.DOTALL)
DIRECTIVE = re.compile(r":(?=[\w+-]+(?:\[|\{|:)|material/)")
FENCE = re.compile(r"(`{3,}|~{3,})([^\r\n]*)")
DRAWN = "mermaid"
WORD_JOINER = "\u2060"


def faithful(markdown: str) -> str:
    """Markdown that Streamlit shows as any other reader would, without fetching anything."""
    still = FENCE.sub(_undrawn, markdown).replace("![", f"!{WORD_JOINER}[")
    return "".join(piece if index % 2 else _literal(piece) for index, piece in enumerate(CODE.split(still)))


def plain(text: str) -> str:
    """Text with every Markdown sign shown as it was typed."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", text)


def _undrawn(fence: re.Match[str]) -> str:
    """The fence with an unknown language in front of one that would be drawn; it may be written in HTML entities."""
    run, language = fence.groups()
    return f"{run}{WORD_JOINER} {language}" if DRAWN in html.unescape(language).lower() else fence[0]


def _literal(text: str) -> str:
    return DIRECTIVE.sub(r"\\:", re.sub(r"(?<!\\)\$", r"\\$", text))
