"""The reference set: responses to prompts on which heads are standardised and the guard's bounds hold."""

import json
from dataclasses import dataclass
from pathlib import Path

from elicitation.errors import InvalidInput
from reward_bases.bank import Bank
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation

FEWEST_PROMPTS, MOST_PROMPTS = 20, 1000
FEWEST_RESPONSES, MOST_RESPONSES = 4, 64


@dataclass(frozen=True)
class Reference:
    """``pairs`` (P·n): n responses to each of P prompts, one prompt after another."""

    pairs: tuple[Pair, ...]
    prompts: int

    @property
    def responses(self) -> int:
        """n, of each prompt."""
        return len(self.pairs) // self.prompts


def reference_of_bank(bank: Bank) -> Reference:
    """All answers of a question bank; raises InvalidInput unless its prompts have as many answers each, at least 4."""
    counts = {len(prompt.answers) for prompt in bank.prompts}
    if len(counts) > 1 or min(counts, default=0) < FEWEST_RESPONSES:
        raise InvalidInput(
            f"the bank has {min(counts, default=0)} to {max(counts, default=0)} answers to a prompt; name a reference "
            f"file, or give every prompt the same number, at least {FEWEST_RESPONSES}"
        )
    pairs = tuple(Pair(prompt.conversation, answer.text) for prompt in bank.prompts for answer in prompt.answers)
    return Reference(pairs, len(bank.prompts))


def read_reference(path: Path) -> Reference:
    """JSONL of ``{"prompt": text or messages, "responses": [texts]}``, as many responses on every line.

    Raises InvalidInput with file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"reference {path} cannot be read ({error}); name a JSONL file in [reference]") from error
    rows = [_row(f"{path.name}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    if not FEWEST_PROMPTS <= len(rows) <= MOST_PROMPTS:
        raise InvalidInput(f"{path.name} has {len(rows)} prompts; give {FEWEST_PROMPTS} to {MOST_PROMPTS}")
    counts = {len(row) for row in rows}
    if len(counts) > 1:
        raise InvalidInput(f"{path.name} has {min(counts)} to {max(counts)} responses to a prompt; give all as many")
    return Reference(tuple(pair for row in rows for pair in row), len(rows))


def _row(place: str, line: str) -> list[Pair]:
    try:
        said = json.loads(line)
        conversation, responses = Conversation.of(said["prompt"]), said["responses"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise InvalidInput(f"{place} is no object with prompt and responses ({why})") from error
    if not (isinstance(responses, list) and all(isinstance(response, str) for response in responses)):
        raise InvalidInput(f"{place}: responses must be a list of texts")
    if not FEWEST_RESPONSES <= len(responses) <= MOST_RESPONSES:
        raise InvalidInput(
            f"{place} has {len(responses)} responses; give {FEWEST_RESPONSES} to {MOST_RESPONSES} to each prompt"
        )
    return [Pair(conversation, response) for response in responses]
