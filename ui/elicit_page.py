"""Ask me: one question at a time, by mouse or by keyboard. The service keeps the open question; a reload resumes it."""

import time
from typing import Any

import streamlit as st

import keel
from ui import pair
from ui.session import careful, carried, page, person, say, service

# Seconds after a question appears in which a press is taken for the tail of a double click on the one before.
DOUBLE_CLICK = 0.4


def draw() -> None:
    user = person()
    keep_going = st.session_state.get("keep_going", False)
    question = service().ask(user, force=keep_going)
    if question is None:
        finish(user, exhausted=keep_going)
        return
    if st.session_state.get("shown") != question.question_id:
        st.session_state.update(shown=question.question_id, shown_at=time.monotonic())
    progress(question)
    pair.show(question)
    actions(user, question)


def progress(question: keel.Question) -> None:
    total = max(question.expected_total, question.number)
    text = f"Question {question.number} of about {total}. Which answer would you rather get?"
    with st.container(key="progress"):
        st.progress((question.number - 1) / total, text=text)


def actions(user: str, question: keel.Question) -> None:
    """The answers as buttons that print their keys. A key holds the question, so a late press names the old one."""

    def choice(label: str, choice: str, shortcut: str, **look: Any) -> None:
        st.button(
            label,
            key=f"{choice}-{question.question_id}",
            shortcut=shortcut,
            on_click=answer,
            args=(user, question.question_id, choice),
            width="stretch",
            **look,
        )

    st.text_input(
        "Note",
        key=f"note-{question.question_id}",
        label_visibility="collapsed",
        placeholder="A note, if you like: how should it be instead? (kept, never scored)",
    )
    with st.container(key="actions"):
        with st.container(key="sides", horizontal=True):
            choice("Answer 1 is better", "left", "1", type="primary")
            choice("Answer 2 is better", "right", "2", type="primary")
        with st.container(key="others", horizontal=True, vertical_alignment="center"):
            st.toggle("Much better, not just slightly", key=f"clear-{question.question_id}")
            choice("About the same", "same", "3")
            choice("Both poor", "both_poor", "4")
            choice("Skip", "skip", "S")
            st.button("Undo", key="undo", shortcut="U", on_click=undo, args=(user,), width="stretch")


@careful
def answer(user: str, question_id: str, choice: str) -> None:
    """Tells the service; a press for a question that is answered already, or gone, changes nothing."""
    if time.monotonic() - st.session_state.get("shown_at", 0.0) < DOUBLE_CLICK:
        return
    clear = choice in ("left", "right") and st.session_state.get(f"clear-{question_id}")
    note = st.session_state.get(f"note-{question_id}") or None
    try:
        service().tell(user, question_id, choice, strength="clear" if clear else None, note=note)
    except keel.Conflict:
        say("That question was answered already; here is the next one.")
    except keel.NotFound:
        say("That question has waited too long and is gone; here is a new one.")


@careful
def undo(user: str) -> None:
    try:
        service().undo(user)
        say("Taken back. Answer it again.")
    except keel.NotFound:
        say("There is no answer to take back yet.")


def finish(user: str, exhausted: bool) -> None:
    """Thanks; ``exhausted`` when not even a question of little worth is left."""
    answered = service().profile(user).answered
    with st.container(key="finish"):
        st.header("That is enough. Thank you.", anchor=False)
        if exhausted:
            st.markdown(f"After {answered} answers you have seen every question there is.")
        else:
            st.markdown(
                f"After {answered} answers another question would hardly change how Keel scores for you. "
                "See what it understood, and correct it where it is wrong by answering more."
            )
        with st.container(horizontal=True):
            if st.button("See your profile", type="primary"):
                st.switch_page("profile_page.py", query_params=carried())
            if not exhausted:
                st.button("Keep going", on_click=st.session_state.update, kwargs={"keep_going": True})
            st.button("Undo the last answer", shortcut="U", on_click=undo, args=(user,), type="tertiary")


page(draw)
