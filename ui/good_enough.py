"""Good enough? Verdicts on single answers that were shown before: they tell how much a person's own verdicts vary."""

from typing import Any

import streamlit as st

import keel
from ui.prose import faithful
from ui.session import careful, service

LEVELS = {"unacceptable": "Not acceptable", "acceptable": "Acceptable", "excellent": "Excellent"}
ENOUGH = 40
"""Ratings after which most people's variation shows (``python -m bench.studies.anchors``)."""


def good_enough(user: str, record: dict[str, Any]) -> None:
    st.subheader("Good enough?", anchor=False)
    st.markdown(
        "Your choices tell which of two answers is better, not whether either is any good. Rate single answers, and "
        "Keel learns how much your own verdicts vary. No score changes by it."
    )
    if rated := st.session_state.get("rated"):
        st.markdown(summary(rated))
    if not st.session_state.get("rating"):
        st.button("Rate an answer", on_click=st.session_state.update, kwargs={"rating": True})
    elif following := unrated(record):
        rate(user, *following)
    else:
        st.markdown("You have rated every answer that you were shown; answer more questions to see others.")


def summary(rated: keel.Rated) -> str:
    """What the ratings say so far."""
    if rated.aleatoric is None or rated.acceptable is None or rated.excellent is None:
        return f"Rated so far: {rated.ratings}. It usually takes about {ENOUGH} until your own variation shows."
    return (
        f"From {rated.ratings} ratings: your verdicts vary by {rated.aleatoric:.1f} on the scale of your scores; you "
        f"call answers acceptable from {rated.acceptable:.1f} and excellent from {rated.excellent:.1f}."
    )


def unrated(record: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """A question and the side of it that comes next: all left answers, then all right ones."""
    rated = [(rating["conversation"], rating["response"]) for rating in record["anchors"]]
    shown = [(question, side) for side in ("left", "right") for question in record["questions"]]
    return next(((q, side) for q, side in shown if (q["conversation"], q[side]) not in rated), None)


def rate(user: str, question: dict[str, Any], side: str) -> None:
    with st.container(key="rate"):
        st.markdown(f"**{faithful(question['conversation'][-1]['content'])}**")
        with st.container(border=True, key="rated-answer"):
            st.markdown(faithful(question[side]))
        with st.container(horizontal=True):
            for level, label in LEVELS.items():
                st.button(label, key=f"rate-{level}", on_click=tell, args=(user, question["question_id"], side, level))
            st.button("That will do", type="tertiary", on_click=st.session_state.update, kwargs={"rating": False})


@careful
def tell(user: str, question_id: str, side: str, level: str) -> None:
    st.session_state["rated"] = service().rate(user, level, question_id=question_id, side=side)
