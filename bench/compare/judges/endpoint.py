"""An OpenAI-compatible chat endpoint as a judge: POST /chat/completions with logprobs.

The probabilities are those among the TOP likeliest first tokens. A letter that is not among them counts as likely as
the last of these. The endpoint's tokenizer is not known: a token is taken to be BYTES bytes of UTF-8, which is less
than English has, so that a prompt that counts as fitting does.
"""

import math
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import torch
from torch import Tensor

from elicitation.errors import InvalidInput

TOP = 20
BYTES = 3
AROUND = 32
"""Tokens that a chat puts around a prompt, at most."""
AT_ONCE = 8
"""Requests under way at a time."""
TIMEOUT_SECONDS = 120.0
PAUSES: tuple[float, ...] = (1.0, 2.0, 4.0)
"""Seconds before a request is sent again that found the endpoint busy or absent."""
BUSY = (429, 500, 502, 503, 504)
KEY = "KEEL_JUDGE_KEY"
"""Environment variable with the endpoint's key; without it no key is sent."""


@dataclass(frozen=True, eq=False)
class ChatEndpoint:
    """The model ``model`` at ``base`` (http(s)://host/v1), whose window has ``context`` tokens."""

    base: str
    model: str
    context: int

    def tokens(self, prompt: str) -> int:
        """An estimate from above."""
        return math.ceil(len(prompt.encode()) / BYTES) + AROUND

    def cut(self, text: str, limit: int) -> str:
        """The text, or its first ``limit``·BYTES bytes and an ellipsis."""
        said = text.encode()
        return text if len(said) <= limit * BYTES else f"{said[: limit * BYTES].decode(errors='ignore')}…"

    def log_odds(self, prompts: Sequence[str]) -> Tensor:
        """log P(A) − log P(B) (n,), nats; raises InvalidInput if the endpoint tells no probabilities or no letter."""
        options = {"max_tokens": 1, "logprobs": True, "top_logprobs": TOP}
        return torch.tensor([self._odds(choice) for choice in self._choices(prompts, options)], dtype=torch.float64)

    def write(self, prompts: Sequence[str], limit: int) -> list[str]:
        """At temperature 0."""
        choices = self._choices(prompts, {"max_tokens": limit})
        return [str((choice.get("message") or {}).get("content") or "").strip() for choice in choices]

    def _choices(self, prompts: Sequence[str], options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The first choice of every reply."""
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(timeout=TIMEOUT_SECONDS, headers=headers) as client, ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(lambda prompt: self._choice(client, prompt, options), prompts))

    def _choice(self, client: httpx.Client, prompt: str, options: Mapping[str, Any]) -> dict[str, Any]:
        turns = [{"role": "user", "content": prompt}]
        reply = self._reply(client, {"model": self.model, "messages": turns, "temperature": 0, "seed": 0, **options})
        try:
            choice: dict[str, Any] = reply.json()["choices"][0]
        except (ValueError, LookupError, TypeError) as error:
            raise InvalidInput(
                f"{self.base} answers with no chat completion; --judge is an OpenAI-compatible http(s)://host/v1"
            ) from error
        return choice

    def _reply(self, client: httpx.Client, body: Mapping[str, Any]) -> httpx.Response:
        for pause in (*PAUSES, None):
            try:
                reply = client.post(f"{self.base.rstrip('/')}/chat/completions", json=body)
            except httpx.TransportError as error:
                fault = type(error).__name__
            else:
                if reply.is_success:
                    return reply
                fault = f"status {reply.status_code}"
                if reply.status_code not in BUSY:
                    break
            if pause is not None:
                time.sleep(pause)
        raise InvalidInput(
            f"{self.base} does not answer for the model {self.model} ({fault}); correct --judge, --judge-model, "
            f"--judge-context ({self.context} tokens) or the key in {KEY}"
        )

    def _odds(self, choice: Mapping[str, Any]) -> float:
        said = (choice.get("logprobs") or {}).get("content") or [{}]
        top = said[0].get("top_logprobs")
        if not top:
            raise InvalidInput(
                f"{self.base} gives no logprobs for the model {self.model}; name an endpoint that answers top_logprobs "
                f"({TOP} are asked for), or a folder with a causal model"
            )
        first, second = (_log_probability(top, letter) for letter in "AB")
        if first is None and second is None:
            raise InvalidInput(
                f"{self.model} answers neither A nor B among its {len(top)} likeliest first tokens; name a model that "
                "answers at once, without thinking aloud"
            )
        last = min(entry["logprob"] for entry in top)
        return (last if first is None else first) - (last if second is None else second)


def _log_probability(top: Sequence[Mapping[str, Any]], letter: str) -> float | None:
    """Of the tokens that read ``letter``, nats; None if none does."""
    found = [entry["logprob"] for entry in top if entry["token"].strip() == letter]
    return float(torch.tensor(found, dtype=torch.float64).logsumexp(0)) if found else None
