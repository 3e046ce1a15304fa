"""A vote is asked for in the fullest form that the server takes.

Where it does not take structured output or log-probabilities, or ignores the first, it is asked without from then on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.errors import CallRefused
from app.sources.judge.reply import Judgment, read_reply
from app.sources.judge.rubric import Rubric
from app.sources.judge.vote import Vote
from app.sources.remote import Remote
from reward_bases.sources.source import Pair

TOP = 20
"""Log-probabilities of a token: as many as servers tell."""


class Form(NamedTuple):
    """Whether a request has a ``response_format``, and asks for log-probabilities; the fuller form is the greater."""

    structured: bool
    likely: bool


FORMS = (Form(True, True), Form(True, False), Form(False, True), Form(False, False))


@dataclass(frozen=True)
class Sampling:
    """How the ``model`` is to answer: ``max_tokens`` of a reply; another ``revision`` is another judge."""

    model: str
    temperature: float
    max_tokens: int
    revision: str = ""

    def body(self, vote: Vote, pair: Pair, form: Form = FORMS[0]) -> dict[str, Any]:
        """The request for one vote."""
        schema = {"name": "judgment", "strict": True, "schema": vote.schema}
        return {
            "model": self.model,
            "messages": vote.messages(pair),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": vote.seed,
            **({"response_format": {"type": "json_schema", "json_schema": schema}} if form.structured else {}),
            **({"logprobs": True, "top_logprobs": TOP} if form.likely else {}),
        }


class Asking:
    """Asks the model at ``remote``, and remembers which forms it takes."""

    def __init__(self, remote: Remote, sampling: Sampling, rubric: Rubric) -> None:
        self.remote, self._sampling = remote, sampling
        likely = any(not criterion.reason_first for criterion in rubric.criteria)
        self._forms = [form for form in FORMS if likely or not form.likely]

    async def ask(self, vote: Vote, pair: Pair, wanted: Callable[[], bool]) -> Judgment:
        """Raises CallFailed where none comes, and as ``Remote.ask``."""
        for form in list(self._forms):
            body = self._sampling.body(vote, pair, form)
            try:
                judgment = await self.remote.ask(body, lambda said: read_reply(said, vote), wanted)
            except CallRefused:
                continue
            ignored = form.structured and not judgment.as_asked
            self._forms = [one for one in self._forms if one <= form and not (ignored and one.structured)]
            self.remote.purse.spend(tokens=judgment.tokens)
            return judgment
        raise CallRefused("the judge takes no request for this pair in any form")
