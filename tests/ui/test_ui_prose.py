"""Other people's Markdown is shown as they meant it, and fetches nothing."""

import re
from pathlib import Path

import pytest
import streamlit
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.token import Token

from tests.ui.fetching import FETCHING
from ui.prose import faithful, plain

MARKDOWN = st.text(alphabet="a![](`$:~\\\n ")
DRAWN = re.compile(r"language-(\w+)")
"""How Streamlit reads the language of a fenced block."""


def tokens(markdown: str) -> list[Token]:
    """What a CommonMark parser makes of it, inline tokens included."""
    blocks = MarkdownIt("commonmark").enable("table").parse(markdown)
    return [token for block in blocks for token in (block, *(block.children or []))]


def fetches(markdown: str) -> bool:
    """Whether Streamlit would draw an image or a diagram."""
    found = tokens(markdown)
    languages = [
        DRAWN.search(f"language-{(unescapeAll(token.info).split() or [''])[0]}")
        for token in found
        if token.type == "fence"
    ]
    drawn = any(match is not None and match[1].lower() == "mermaid" for match in languages)
    return drawn or any(token.type == "image" for token in found)


@pytest.mark.parametrize("text", FETCHING.values(), ids=FETCHING)
def test_nothing_in_an_answer_is_fetched(text: str) -> None:
    assert fetches(text)
    assert not fetches(faithful(text))


@given(
    st.lists(st.sampled_from([*"![](`~&-\\\n >a", "mermaid", "mer", "maid", "```", "language-", "&#109;"])).map("".join)
)
def test_nothing_is_fetched_however_it_is_put_together(text: str) -> None:
    assert not fetches(faithful(text))


def test_no_page_lets_markdown_hold_html() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "ui").glob("*.py")]
    assert pages
    assert not any("unsafe_allow" in page for page in pages)


def test_the_installed_streamlit_draws_no_language_but_mermaid() -> None:
    (script,) = Path(streamlit.__file__).parent.glob("static/static/js/StreamlitMarkdown.*.js")
    assert set(re.findall(r"toLowerCase\(\)===`(\w+)`&&!", script.read_text(encoding="utf-8"))) == {"mermaid"}


@given(MARKDOWN)
def test_no_image_survives_whatever_surrounds_it(text: str) -> None:
    assert "![" not in faithful(text)


@given(MARKDOWN)
def test_no_character_of_the_text_is_lost(text: str) -> None:
    def bare(markdown: str) -> str:
        return markdown.replace("\\", "").replace("\u2060 ", "").replace("\u2060", "")

    assert bare(faithful(text)) == bare(text)


def test_prices_are_not_mathematics() -> None:
    assert faithful("from $5 to $10") == r"from \$5 to \$10"


def test_an_escaped_dollar_stays_escaped_once() -> None:
    assert faithful(r"\$5") == r"\$5"


@pytest.mark.parametrize("directive", [":red[late]", ":material/home:", ":smile:"])
def test_streamlit_directives_are_shown_as_typed(directive: str) -> None:
    assert faithful(directive).startswith("\\:")


@pytest.mark.parametrize("code", ["`$HOME`", "```sh\necho $HOME :red[x]\n```", "```\nleft open $x"])
def test_code_is_left_as_it_stands(code: str) -> None:
    assert faithful(code) == code


def test_ordinary_markdown_is_untouched() -> None:
    text = "**Weigh** it: 500 g.\n\n1. Mix\n2. Bake at 10:30\n\n> and [read](https://example.org)"
    assert faithful(text) == text


def test_plain_text_has_no_markdown_left() -> None:
    assert plain("a*b*_c_[d](e)") == r"a\*b\*\_c\_\[d\]\(e\)"
