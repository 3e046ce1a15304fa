"""Profile: what Keel understood, how sure it is, what the guard did, whether it is right, and the person's own data."""

import json
from textwrap import shorten
from typing import Any

import streamlit as st

import keel
from ui.chart import coefficients
from ui.check import check
from ui.good_enough import good_enough
from ui.own_audit import sentences, served
from ui.parts import facts, share
from ui.prose import plain
from ui.session import careful, carried, forgotten, page, person, say, service
from ui.words import guard_in_numbers, guard_in_words

SIDES = {"left": ("left", "right"), "right": ("right", "left")}
OTHERS = {"same": "You found them about the same.", "skip": "You skipped it.", "both_poor": "You found both poor."}
QUOTED = 70


def draw() -> None:
    user = person()
    try:
        profile, record = service().profile(user), service().export(user)
    except keel.NotFound:
        stranger()
        return
    if not record["answers"]:
        stranger()
        own_data(user, record)
        return
    understood(profile, record)
    weights(profile)
    guarded(profile.guard)
    audited(user)
    check(user)
    good_enough(user, record)
    own_data(user, record)


def stranger() -> None:
    st.header("Keel does not know you yet", anchor=False)
    st.markdown("Until you answer a few questions, answers are scored by everybody's taste.")
    st.page_link("elicit_page.py", label="Answer the first question", query_params=carried())


def understood(profile: keel.Profile, record: dict[str, Any]) -> None:
    st.header("What Keel understood", anchor=False)
    answers = "answer" if profile.answered == 1 else "answers"
    st.caption(f"{plain(profile.user_id)}: {profile.answered} {answers}, profile version {plain(profile.version)}")
    if not profile.statements:
        st.markdown("Nothing stands out yet: so far your taste looks like everybody's. A few more answers will tell.")
    reasons = answers_in_words(record)
    with st.container(key="statements"):
        for index, statement in enumerate(profile.statements):
            with st.container(key=f"statement-{index}"):
                sentence(statement, reasons)


def sentence(statement: keel.Statement, reasons: dict[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(plain(statement.text), width="content")
        st.caption(f"{share(statement.confidence)} sure", width="content")
    known = [reasons[question] for question in statement.because if question in reasons]
    if known:
        with st.expander(because(len(known)), type="compact"):
            st.markdown("\n".join(f"- {reason}" for reason in known))


def because(answers: int) -> str:
    return "Because of one of your answers" if answers == 1 else f"Because of {answers} of your answers"


def answers_in_words(record: dict[str, Any]) -> dict[str, str]:
    """For every answered question, Markdown of its prompt and of the choice; a log entry without one takes back."""
    asked = {question["question_id"]: question for question in record["questions"]}
    told = (entry for entry in record["answers"] if "choice" in entry)
    return {entry["question_id"]: answer_in_words(asked[entry["question_id"]], entry["choice"]) for entry in told}


def answer_in_words(question: dict[str, Any], choice: str) -> str:
    prompt = f"*{plain(question['conversation'][-1]['content'])}*"
    if choice in OTHERS:
        return f"{prompt} {OTHERS[choice]}"
    chosen, other = (plain(shorten(question[side], QUOTED, placeholder="…")) for side in SIDES[choice])
    return f"{prompt} You chose “{chosen}” over “{other}”."


def weights(profile: keel.Profile) -> None:
    st.subheader("What counts, and how much", anchor=False)
    st.markdown(
        "Each row is one quality of an answer. The bar is where your weight lies with 95 % probability; the diamond is "
        "everybody's weight, the triangle the one your scores use after the guard."
    )
    st.altair_chart(coefficients(profile.heads), theme=None, alt="Coefficients with 95 % intervals, one row a head")


def guarded(guard: keel.Guard) -> None:
    st.subheader("What the guard did", anchor=False)
    st.markdown(guard_in_words(guard))
    facts(guard_in_numbers(guard))


def audited(user: str) -> None:
    st.subheader("What it does to what you see", anchor=False)
    audit = service().own_audit(user)
    st.markdown("Your own audit: your scores against everybody's, on the same prompts and answers.")
    st.html(sentences(audit))
    if told := served(audit):
        st.markdown(told)


def own_data(user: str, record: dict[str, Any]) -> None:
    st.subheader("Your data", anchor=False)
    st.markdown("Everything Keel holds about you, to take along or to erase.")
    with st.container(horizontal=True):
        content = json.dumps(record, indent=2, ensure_ascii=False)
        st.download_button("Download as JSON", content, f"keel-{user}.json", "application/json", on_click="ignore")
        if st.button("Erase everything…"):
            confirm_erasing(user)


@st.dialog("Erase everything?")
def confirm_erasing(user: str) -> None:
    st.markdown(f"All questions, answers and profile versions of **{plain(user)}** go for good. There is no undo.")
    with st.container(horizontal=True):
        if st.button("Erase for good", type="primary", on_click=erase, args=(user,)) or st.button("Keep it"):
            st.rerun()


@careful
def erase(user: str) -> None:
    service().forget(user)
    forgotten(user)
    st.session_state.clear()
    say("Erased. Keel knows nothing about you any more.")


page(draw)
