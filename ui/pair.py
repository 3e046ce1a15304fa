"""A question on the page: the conversation, then both answers in equal cards, side by side or stacked where narrow."""

from typing import Any

import streamlit as st

import keel
from ui.prose import faithful


def show(question: keel.Question) -> None:
    with st.container(key="prompt"):
        *earlier, last = turns(question.prompt)
        for turn in earlier:
            st.caption(f"**{turn['role'].capitalize()}:** {faithful(turn['content'])}")
        st.markdown(faithful(last["content"]), anchors=False)
    with st.container(key="answers"):
        for column, number, text in zip(st.columns(2), (1, 2), (question.left, question.right), strict=True):
            card(column, number, text)


def turns(prompt: str | list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def card(column: Any, number: int, text: str) -> None:
    with column.container(border=True, height="stretch", key=f"card-{number}"):
        st.caption(f"Answer {number}")
        st.markdown(faithful(text), anchors=False)
