"""What a judge is told: a person's answers, a description of their taste, and a pair of responses.

Prompts and responses are cut to TEXT_TOKENS tokens each. If a whole is longer than the judge's window, the oldest
answers are left out, as many as need be.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.compare.judges.judge import Judge
from elicitation.choice import OUTCOMES, Choice
from elicitation.errors import InvalidInput

TEXT_TOKENS = 256
DESCRIPTION_TOKENS = 128
NO_DESCRIPTION = "no description known"
TASK = "You predict which of two responses one person prefers."
SO_FAR = "This person's answers so far, the oldest first:"
NO_ANSWERS = "This person has not answered yet."
QUESTION = "Which response does this person prefer? Answer with A or B alone.\nPreferred:"
DESCRIBE = (
    "Describe in two or three short sentences what this person likes and dislikes in a response. Speak of taste in "
    "general, not of single responses."
)
PREFERRED = {Choice.LEFT: "A", Choice.SAME: "neither", Choice.RIGHT: "B"}

Texts = tuple[tuple[str, str], ...]
"""Prompt and response of every item."""


@dataclass(frozen=True, eq=False)
class Wording:
    """The items of a world as ``judge`` reads them."""

    judge: Judge
    texts: Texts
    _known: dict[int, tuple[str, str]] = field(default_factory=dict)

    def pair(self, left: int, right: int) -> str:
        """Two items, by number, as A and B."""
        prompt, response = self._cut(left)
        return f"Prompt: {prompt}\nResponse A: {response}\nResponse B: {self._cut(right)[1]}"

    def answer(self, left: int, right: int, column: int) -> str:
        """A pair and which side was preferred, a column of OUTCOMES."""
        return f"{self.pair(left, right)}\nPreferred: {PREFERRED[OUTCOMES[column]]}"

    def by_answers(self, answers: Sequence[str], pair: str) -> str:
        """Prompt for A or B on a ``pair``, from the person's ``answers``, the oldest first."""
        return self._fitted(lambda kept: _paragraphs(TASK, *_told(kept), f"{pair}\n{QUESTION}"), answers, 1)

    def by_description(self, description: str, pair: str) -> str:
        """Prompt for A or B on a ``pair``, from a ``description`` of the person's taste."""
        known = f"This person's taste: {description}"
        return self._fitted(lambda _: _paragraphs(TASK, known, f"{pair}\n{QUESTION}"), (), 1)

    def describing(self, answers: Sequence[str]) -> str:
        """Prompt for a description."""
        return self._fitted(lambda kept: _paragraphs(*_told(kept), DESCRIBE), answers, DESCRIPTION_TOKENS)

    def _cut(self, item: int) -> tuple[str, str]:
        if item not in self._known:
            prompt, response = self.texts[item]
            self._known[item] = self.judge.cut(prompt, TEXT_TOKENS), self.judge.cut(response, TEXT_TOKENS)
        return self._known[item]

    def _fitted(self, compose: Callable[[Sequence[str]], str], answers: Sequence[str], reply: int) -> str:
        """With as many of the latest answers as leave room for ``reply`` tokens."""
        room = self.judge.context - reply
        for dropped in range(len(answers) + 1):
            prompt = compose(answers[dropped:])
            if (length := self.judge.tokens(prompt)) <= room:
                return prompt
        raise InvalidInput(
            f"a prompt takes {length} tokens without any answer, more than the {room} of the judge's window; name a "
            "judge with a longer one, or raise --judge-context if its window is longer"
        )


def _told(answers: Sequence[str]) -> Sequence[str]:
    return (SO_FAR, *answers) if answers else (NO_ANSWERS,)


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(parts)
