"""Small pieces of page that Streamlit has no element for. Every text passes ``escape`` before it becomes HTML."""

from collections.abc import Iterable
from html import escape

import streamlit as st

STATUS_WORDS = {
    "green": ("●", "within limits"),
    "amber": ("▲", "watch"),
    "red": ("■", "over the limit"),
    "inconclusive": ("○", "inconclusive"),
}


def chip(status: str, words: str | None = None) -> str:
    """HTML of a status: a shape, a colour and a word, so that none of them carries it alone."""
    sign, default = STATUS_WORDS.get(status, STATUS_WORDS["inconclusive"])
    known = status if status in STATUS_WORDS else "inconclusive"
    return f'<span class="chip {known}"><i>{sign}</i>{escape(words or default)}</span>'


def facts(rows: Iterable[tuple[str, str, str]]) -> None:
    """Figures side by side: what it is, its value, what that means."""
    cells = (
        f"<div><small>{escape(name)}</small><b>{escape(value)}</b><p>{escape(meaning)}</p></div>"
        for name, value, meaning in rows
    )
    st.html(f'<div class="facts">{"".join(cells)}</div>')


def share(probability: float) -> str:
    """Whole percent; rounding never makes a chance certain or impossible."""
    if 0 < probability < 0.01:
        return "under 1 %"
    if 0.99 < probability < 1:
        return "over 99 %"
    return f"{round(100 * probability)} %"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")
