"""A judge that counts letters and reads in the answers whether more are preferred: in this process, or an endpoint."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fastapi import FastAPI, HTTPException, Request
from torch import Tensor

from bench.compare.judges.prompts import DESCRIBE

BIAS = 1.5
"""What the reader adds to the letter A, nats."""
PAIR = re.compile(r"Response A: (.*)\nResponse B: (.*)\n(?:Preferred: (A|B|neither)$)?", re.M)
LIKES = {1: "likes long responses", -1: "likes short responses", 0: "likes anything"}


def taste(prompt: str) -> int:
    """1 for long responses, −1 for short ones, by the description or else by what most answers say."""
    for known, words in LIKES.items():
        if f"taste: {words}" in prompt:
            return known
    signs = [{"A": 1, "B": -1, "neither": 0}[said] * sign(len(a) - len(b)) for a, b, said in PAIR.findall(prompt)[:-1]]
    return sign(sum(signs))


def sign(value: int) -> int:
    return (value > 0) - (value < 0)


def odds(prompt: str) -> float:
    """log P(A) − log P(B) of the reader."""
    first, second, _ = PAIR.findall(prompt)[-1] if PAIR.search(prompt) else ("", "", "")
    return BIAS + taste(prompt) * (len(first) - len(second)) / 10


def description(prompt: str) -> str:
    """What the reader writes; the pair that is to be judged is missing here, so that all pairs are answers."""
    return LIKES[taste(f"{prompt}\nResponse A: \nResponse B: \n")]


@dataclass(frozen=True, eq=False)
class Reader:
    """A judge whose tokens are words; ``asked`` and ``describing`` are the prompts it has read."""

    context: int = 10_000
    asked: list[str] = field(default_factory=list)
    describing: list[str] = field(default_factory=list)

    def tokens(self, prompt: str) -> int:
        return len(prompt.split())

    def cut(self, text: str, limit: int) -> str:
        return " ".join(text.split(" ")[:limit])

    def log_odds(self, prompts: Sequence[str]) -> Tensor:
        self.asked.extend(prompts)
        return torch.tensor([odds(prompt) for prompt in prompts], dtype=torch.float64)

    def write(self, prompts: Sequence[str], limit: int) -> list[str]:
        self.describing.extend(prompts)
        return [description(prompt) for prompt in prompts]


@dataclass
class Endpoint:
    """The reader behind /v1/chat/completions; it stumbles over ``faults`` first, and may lack what a judge needs."""

    faults: list[int] = field(default_factory=list)
    logprobs: bool = True
    letters: str = "AB"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> dict[str, Any]:
            body = await request.json()
            self.bodies.append(body)
            self.keys.append(request.headers.get("authorization"))
            if self.faults:
                raise HTTPException(self.faults.pop(0))
            prompt = body["messages"][-1]["content"]
            if DESCRIBE in prompt:
                return {"choices": [{"message": {"role": "assistant", "content": description(prompt)}}]}
            return {"choices": [{"message": {"role": "assistant", "content": "A"}, **self.told(odds(prompt))}]}

        return app

    def told(self, log_odds: float) -> dict[str, Any]:
        """Log-probabilities of both letters, A as two tokens of half its probability, and of two other tokens."""
        if not self.logprobs:
            return {"logprobs": None}
        first, second = (-math.log1p(math.exp(-side * log_odds)) - 0.1 for side in (1, -1))
        halved = first - math.log(2)
        top = [("A", halved), (" A", halved), (" B", second), ("The", -3.0), ("I", -30.0)]
        kept = [(token, value) for token, value in top if token.strip() in (*self.letters, "The", "I")]
        return {"logprobs": {"content": [{"top_logprobs": [{"token": t, "logprob": v} for t, v in kept]}]}}
