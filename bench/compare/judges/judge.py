"""What a judge does: count and cut texts in its tokens, answer a prompt with A or B, write a short text.

log-odds = log P(A) − log P(B) of the first token after the prompt, nats. A token counts as a letter if it reads so
without the spaces around it. Texts are written at temperature 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from reward_bases.text import digest


class Judge(Protocol):
    """A language model that reads prompts of at most ``context`` tokens, with what it writes after them."""

    @property
    def context(self) -> int: ...

    def tokens(self, prompt: str) -> int:
        """Length of a prompt as it is sent, with what a chat puts around it."""
        ...

    def cut(self, text: str, limit: int) -> str:
        """The text, or its first ``limit`` tokens and an ellipsis."""
        ...

    def log_odds(self, prompts: Sequence[str]) -> Tensor:
        """log P(A) − log P(B) (n,) float64, nats."""
        ...

    def write(self, prompts: Sequence[str], limit: int) -> list[str]:
        """What follows each prompt, at most ``limit`` tokens."""
        ...


@dataclass(frozen=True, eq=False)
class Remembering:
    """A judge that reads no prompt twice."""

    judge: Judge
    odds: dict[str, float] = field(default_factory=dict)
    written: dict[tuple[str, int], str] = field(default_factory=dict)

    @property
    def context(self) -> int:
        return self.judge.context

    def tokens(self, prompt: str) -> int:
        return self.judge.tokens(prompt)

    def cut(self, text: str, limit: int) -> str:
        return self.judge.cut(text, limit)

    def log_odds(self, prompts: Sequence[str]) -> Tensor:
        """Those of new prompts by the judge, together."""
        keys = list(map(digest, prompts))
        new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self.odds}
        if new:
            self.odds.update(zip(new, self.judge.log_odds(list(new.values())).tolist(), strict=True))
        return torch.tensor([self.odds[key] for key in keys], dtype=torch.float64)

    def write(self, prompts: Sequence[str], limit: int) -> list[str]:
        """After new prompts by the judge, together."""
        keys = [(digest(prompt), limit) for prompt in prompts]
        new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self.written}
        if new:
            self.written.update(zip(new, self.judge.write(list(new.values()), limit), strict=True))
        return [self.written[key] for key in keys]
