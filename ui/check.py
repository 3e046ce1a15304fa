"""Would you have picked this? Keel bets on a fresh pair, the bet stays sealed until the person chooses, then both show.

Sealed, because a bet on view would be agreed with: the hit rate would flatter Keel.
"""

from dataclasses import dataclass

import streamlit as st

import keel
from ui import pair
from ui.parts import share
from ui.session import careful, say, service

NAMES = {"left": "answer 1", "right": "answer 2", "same": "about the same"}


@dataclass(frozen=True)
class Bet:
    """Predicted probabilities of a question's choices, taken before the person chose."""

    question: keel.Question
    chances: dict[str, float]

    @property
    def favourite(self) -> str:
        return max(self.chances, key=self.chances.__getitem__)


@dataclass(frozen=True)
class Tally:
    """Bets settled in this visit: how many, how many won, how many Keel itself expected to win."""

    settled: int = 0
    won: int = 0
    expected: float = 0.0

    def settle(self, bet: Bet, choice: str) -> "Tally":
        won = self.won + (choice == bet.favourite)
        return Tally(self.settled + 1, won, self.expected + bet.chances[bet.favourite])


def check(user: str) -> None:
    st.subheader("Would you have picked this?", anchor=False)
    st.markdown("Test Keel on a fresh pair. Its bet stays sealed until you choose; your choice counts as an answer.")
    tally()
    bet = st.session_state.get("bet")
    if bet is None:
        st.button("Show me a pair", on_click=place_bet, args=(user,))
    else:
        choose(user, bet)


@careful
def place_bet(user: str) -> None:
    """Asks for a pair drawn at random, where a hit rate means something, and predicts it before it is shown."""
    question = service().ask(user, rule="random", force=True)
    if question is None:
        say("There is no fresh pair left.")
        return
    odds = service().compare(question.prompt, question.left, question.right, user_id=user)
    st.session_state["bet"] = Bet(question, {"left": odds.p_a, "right": odds.p_b, "same": odds.p_same})


def choose(user: str, bet: Bet) -> None:
    with st.container(key="check"):
        pair.show(bet.question)
        with st.container(horizontal=True):
            for choice, label, shortcut in (
                ("left", "I pick answer 1", "1"),
                ("right", "I pick answer 2", "2"),
                ("same", "About the same", "3"),
            ):
                st.button(label, key=f"pick-{choice}", shortcut=shortcut, on_click=settle, args=(user, bet, choice))
            st.button("Not now", type="tertiary", on_click=st.session_state.pop, args=("bet", None))


@careful
def settle(user: str, bet: Bet, choice: str) -> None:
    """Records the choice as an answer, opens the bet and counts it."""
    st.session_state.pop("bet", None)
    try:
        service().tell(user, bet.question.question_id, choice)
    except keel.Conflict:
        say("That pair was answered already.")
        return
    st.session_state["tally"] = st.session_state.get("tally", Tally()).settle(bet, choice)
    st.session_state["last_bet"] = (bet, choice)


def tally() -> None:
    counted: Tally | None = st.session_state.get("tally")
    if counted is None:
        return
    bet, choice = st.session_state["last_bet"]
    verdict = "Right" if choice == bet.favourite else "Wrong"
    st.markdown(
        f"**{verdict}.** Keel bet on {NAMES[bet.favourite]} ({share(bet.chances[bet.favourite])}), you chose "
        f"{NAMES[choice]}. So far {counted.won} of {counted.settled} right; Keel expected {counted.expected:.1f}."
    )
