"""A judge by what the command line says of it."""

from dataclasses import dataclass
from functools import lru_cache

from bench.compare.judges.endpoint import ChatEndpoint
from bench.compare.judges.judge import Judge, Remembering
from elicitation.errors import InvalidInput

CONTEXT = 8192
"""Tokens of a judge's window, if nothing else is stated."""
SCHEMES = ("http://", "https://")
TRIAL = "Which letter comes first in the alphabet, A or B? Answer with A or B alone.\nAnswer:"


@dataclass(frozen=True)
class JudgeName:
    """A folder or model at ``place``, or the model ``model`` of the endpoint there; ``context`` in tokens.

    Raises InvalidInput for an endpoint without a model's name, and for a model's name without an endpoint.
    """

    place: str
    model: str | None = None
    context: int = CONTEXT

    def __post_init__(self) -> None:
        if self.is_endpoint and not self.model:
            raise InvalidInput(f"--judge {self.place} is an endpoint; name the model it serves with --judge-model NAME")
        if self.model and not self.is_endpoint:
            raise InvalidInput(
                f"--judge-model {self.model} is for an endpoint, and --judge {self.place} is none; leave it out"
            )

    @property
    def is_endpoint(self) -> bool:
        return self.place.startswith(SCHEMES)


def load(name: JudgeName) -> Judge:
    """The judge; raises InvalidInput if a local model cannot be loaded."""
    if name.is_endpoint:
        return ChatEndpoint(name.place, name.model or "", name.context)
    # transformers takes seconds to import.
    from bench.compare.judges.causal import CausalJudge

    return CausalJudge.load(name.place, name.context)


@lru_cache(maxsize=1)
def opened(name: JudgeName) -> Judge:
    """The judge, loaded once a process; it reads no prompt twice."""
    return Remembering(load(name))


def try_out(name: JudgeName) -> None:
    """Raises InvalidInput if the judge cannot be loaded or reached, or does not answer with A or B."""
    load(name).log_odds([TRIAL])
