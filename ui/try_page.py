"""Try it: a prompt and some candidates, ranked for the person and for everybody, with the guard's certificate."""

from html import escape

import streamlit as st

import keel
from ui.parts import chip, facts, number, share
from ui.session import page, person, service

FEWEST, FIRST_SHOWN = 2, 3
BOX_PIXELS = 300
GATE = {
    "trivial": "says nothing",
    "repeated": "repeats itself",
    "oversized": "too long",
    "template_token": "holds a chat-template token",
    "judge_instruction": "tells its judge what to score",
}


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
        profile: keel.Profile | None = service().profile(user)
    except keel.NotFound:
        profile = None
    known = None if profile is None else user
    yours, everybodys = service().rank(prompt, candidates, user_id=known), service().rank(prompt, candidates)
    details = service().score([prompt] * len(candidates), candidates, user_id=known, detail=True).details or ()
    for column, title, ranking in zip(st.columns(2), ("For you", "For everybody"), (yours, everybodys), strict=True):
        with column:
            st.subheader(title, anchor=False)
            st.html(listing(ranking, candidates, details))
    if profile is None or profile.answered == 0:
        st.caption("You have answered no question yet, so both rankings are everybody's.")
    else:
        certificate(yours, profile.guard.budget["divergence"])


def listing(ranking: keel.Ranking, candidates: list[str], details: tuple[keel.Detail, ...]) -> str:
    """HTML of an ordered list: text, bar of the score, score, chance of being chosen, remarks."""
    items = []
    for ranked in ranking.results:
        marks = remarks(details[ranked.index]) if details else ""
        items.append(
            f"<li><p>{escape(candidates[ranked.index])}</p>"
            f'<div class="bar"><span style="width:{100 * ranked.score:.1f}%"></span></div>'
            f"<small>score {number(ranked.score)}, picked {share(ranked.probability)} of the time</small>{marks}</li>"
        )
    return f'<ol class="ranking">{"".join(items)}</ol>'


def remarks(detail: keel.Detail) -> str:
    gate = [chip("red", f"rejected: {GATE.get(reason, reason)}") for reason in detail.gate.reasons]
    flags = [chip("amber", flag.replace("_", " ")) for flag in detail.flags]
    return "".join(gate + flags)


def certificate(ranking: keel.Ranking, limit: float) -> None:
    st.subheader("The guard's certificate", anchor=False)
    inside = ranking.set_divergence <= limit and not ranking.outside_guard
    status, words = ("green", "within the limit") if inside else ("amber", "beyond the limit on this set")
    st.html(f'<p class="verdict">{chip(status, words)}</p>')
    moved = f"limit {number(limit)} nats between your choice among these answers and everybody's"
    fits = "the largest share of your taste that stays within the limit here; a certified ranking uses no more"
    facts(
        [
            ("Divergence on this set", f"{number(ranking.set_divergence)} nats", moved),
            ("Share that fits", number(ranking.set_alpha), fits),
        ]
    )


page(draw)
