"""A deployer's own checks: accept or reject before anything is scored, never a reward.

``KEEL_RUBRICS="package.module:function,…"`` names functions ``(conversation, response) -> str | None`` that give the
reason to reject, or None to accept; replies show ``rubric:NAME``. A check that raises, or returns anything else, fails
the request: no response passes because its check was broken.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.errors import RubricFailed
from elicitation.errors import InvalidInput
from reward_bases.text import Conversation
from safeguards.gate import GateResult

Check = Callable[[Conversation, str], str | None]


@dataclass(frozen=True)
class Rubric:
    """One check; ``name`` is that of its function."""

    name: str
    check: Check

    def reason(self, conversation: Conversation, response: str) -> str | None:
        """Why the response is rejected; raises RubricFailed when the check does not work."""
        try:
            reason = self.check(conversation, response)
        except Exception as error:
            raise RubricFailed(
                f"rubric {self.name} raised {type(error).__name__}; nothing was scored, repair it or drop it from "
                "KEEL_RUBRICS"
            ) from error
        if reason is not None and not isinstance(reason, str):
            raise RubricFailed(
                f"rubric {self.name} returned {type(reason).__name__}, not a reason or None; nothing was scored"
            )
        return reason


def load_rubrics(names: Sequence[str]) -> tuple[Rubric, ...]:
    """The functions called ``package.module:function``; raises InvalidInput for what cannot be imported."""
    return tuple(_load(name) for name in names)


def judged(rubrics: Sequence[Rubric], conversation: Conversation, response: str) -> GateResult:
    """Verdict of all rubrics on one response."""
    reasons = {rubric.name: rubric.reason(conversation, response) for rubric in rubrics}
    found = {f"rubric:{name}": reason for name, reason in reasons.items() if reason is not None}
    return GateResult(tuple(found), tuple(found.values()))


def _load(name: str) -> Rubric:
    module, _, function = name.strip().partition(":")
    try:
        check = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"rubric {name!r} cannot be imported ({error}); name it package.module:function in KEEL_RUBRICS"
        ) from error
    if not callable(check):
        raise InvalidInput(f"rubric {name!r} is no function; name one in KEEL_RUBRICS")
    return Rubric(function, check)
