"""How a response becomes the text that gate, lengths and sources read. The card of a basis names its rule for good."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from reward_bases.text import Turn
from reward_bases.thoughts import without_thoughts

ASSISTANT = "assistant"
RESULT = "tool result: "


class View(StrEnum):
    """What is read of a trajectory: the answer that the person sees, or a trace of all that was said and done."""

    ANSWER = "answer"
    TRACE = "trace"


class ReadingRule(StrEnum):
    """``1`` reads all that the assistant wrote, as version 0.1.0 did; ``2`` reads what the person is shown.

    A card without an entry is read by ``1``. New bases are read by ``2``.
    """

    WRITTEN = "1"
    SHOWN = "2"

    def of_text(self, response: str) -> str:
        """What is read of a response; what was read stays as it is when it is read again."""
        return without_thoughts(response) if self is ReadingRule.SHOWN else response

    def of_trajectory(self, turns: Sequence[Turn], view: View) -> str:
        """The view of a trajectory as one text, each turn without its thoughts.

        The answer is the assistant's last turn that has words; by rule ``1`` it is all of the assistant's words, a turn
        a line. A trace is ``Turn.written`` of every turn, a turn a line, with ``tool result: `` before a tool's words.
        """
        if view is View.TRACE:
            return "\n".join(filter(None, map(self._traced, turns)))
        words = [turn.words for turn in turns if turn.role == ASSISTANT]
        if self is ReadingRule.WRITTEN:
            return "\n".join(words)
        return next((self.of_text(said) for said in reversed(words) if said.strip()), "")

    def _traced(self, turn: Turn) -> str:
        read = replace(turn, words=self.of_text(turn.words), calls=tuple(map(self.of_text, turn.calls)))
        return f"{RESULT}{read.written}" if read.words and turn.role == "tool" else read.written


NEWEST = ReadingRule.SHOWN
