"""Try it: a prompt and some candidates, ranked for the person and for everybody, with the guard's certificate."""

from html import escape

import streamlit as st

import keel
from ui.parts import chip, facts, number, share
from ui.session import page, person, service

FEWEST, FIRST_SHOWN = 2, 3
BOX_PIXELS = 300


def draw() -> None:
    user = person()
    st.header("Try it", anchor=False)
    st.markdown("Paste a prompt and some answers. Keel ranks them for you and, beside it, for everybody.")
    prompt = st.text_area("Prompt", key="prompt-text", height=96, persist_state="session", placeholder="The question")
    candidates = boxes()
    with st.container(horizontal=True, vertical_alignment="bottom", key="try-actions"):
        ranked = st.button("Rank them", type="primary")
        st.button("Add an answer", on_click=add)
    if not ranked:
        return
    filled = [text for text in candidates if text.strip()]
    if not prompt.strip() or len(filled) < FEWEST:
        st.info(f"Fill in a prompt and at least {FEWEST} answers.")
        return
    result(user, prompt, filled)


def slots() -> list[int]:
    """Names of the boxes on the page; they outlive the page, the boxes do not."""
    names: list[int] = st.session_state.setdefault("slots", list(range(FIRST_SHOWN)))
    return names


def boxes() -> list[str]:
    names = slots()
    texts = []
    with st.grid(min_column_width=BOX_PIXELS, gap="medium"):
        for place, name in enumerate(names, start=1):
            with st.container(key=f"box-{name}", gap=None):
                texts.append(st.text_area(f"Answer {place}", key=f"text-{name}", height=128, persist_state="session"))
                if len(names) > FEWEST:
                    st.button("Remove", key=f"remove-{name}", type="tertiary", on_click=names.remove, args=(name,))
    return texts


def add() -> None:
    slots().append(max(slots()) + 1)


def result(user: str, prompt: str, candidates: list[str]) -> None:
    """Both rankings, every answer's flags, and how far the two choices are apart."""
    try:
        known: str | None = service().profile(user).user_id
    except keel.NotFound:
        known = None
    yours = service().rank(prompt, candidates, user_id=known, certify=True)
    everybodys = service().rank(prompt, candidates)
    details = service().score([prompt] * len(candidates), candidates, user_id=known, detail=True).details or ()
    for column, title, ranking in zip(st.columns(2), ("For you", "For everybody"), (yours, everybodys), strict=True):
        with column:
            st.subheader(title, anchor=False)
            st.html(listing(ranking, candidates, details))
    if known is None:
        st.caption("You have answered no question yet, so both rankings are everybody's.")
    certificate(yours)


def listing(ranking: keel.Ranking, candidates: list[str], details: tuple[keel.Detail, ...]) -> str:
    """HTML of an ordered list: text, bar of the score, score, chance of being chosen, remarks."""
    items = []
    for ranked in ranking.results:
        marks = remarks(details[ranked.index]) if details else ""
        items.append(
            f"<li><p>{escape(candidates[ranked.index])}</p>"
            f'<div class="bar"><span style="width:{100 * ranked.score:.1f}%"></span></div>'
            f"<small>score {number(ranked.score)}, chosen with {share(ranked.probability)}</small>{marks}</li>"
        )
    return f'<ol class="ranking">{"".join(items)}</ol>'


def remarks(detail: keel.Detail) -> str:
    gate = [chip("red", f"rejected: {reason}") for reason in detail.gate.reasons]
    flags = [chip("amber", flag.replace("_", " ")) for flag in detail.flags]
    return "".join(gate + flags)


def certificate(ranking: keel.Ranking) -> None:
    st.subheader("The guard's certificate", anchor=False)
    if ranking.outside_guard:
        st.markdown("On these answers your ranking goes further from everybody's than the guard allows.")
    else:
        st.markdown("On these answers your ranking stays within what the guard allows.")
    facts(
        [
            ("Divergence on this set", f"{number(ranking.set_divergence)} nats", "between your choice and everybody's"),
            ("Strength that would fit", number(ranking.set_alpha), "the largest share of your taste within the limit"),
        ]
    )


page(draw)
