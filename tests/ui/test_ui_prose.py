"""Other people's Markdown is shown as they meant it, and fetches nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.prose import faithful, plain

MARKDOWN = st.text(alphabet="a![](`$:~\\\n ")


@given(MARKDOWN)
def test_no_image_survives_whatever_surrounds_it(text: str) -> None:
    assert "![" not in faithful(text)


@given(MARKDOWN)
def test_no_character_of_the_text_is_lost(text: str) -> None:
    def bare(markdown: str) -> str:
        return markdown.replace("\\", "").replace("\u2060", "")

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
