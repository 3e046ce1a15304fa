"""An OpenAI-compatible server whose judge follows from the response alone, and which can be made to fail."""

import asyncio
import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from reward_bases.text import digest

CRITERION = re.compile(r"^- ([\w-]+): .* \((\d+) = ([\w ]+), (\d+) = [\w ]+\)$", re.M)
RESPONSE = re.compile(r"<response (\w+)>\n(.*)\n</response \1>", re.S)
SURE = 0.7
"""Probability of the number that the judge writes; the rest is on the lowest of the others on its scale."""


class Half(Response):
    """An answer that ends in its middle, with the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"1000"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"choices": [{"mess', "more_body": False})


FAULTS = {
    "busy": lambda: Response(status_code=503),
    "throttled": lambda: Response(status_code=429, headers={"Retry-After": "0"}),
    "throttled for a second": lambda: Response(status_code=429, headers={"Retry-After": "1"}),
    "throttled until then": lambda: Response(status_code=429, headers={"Retry-After": _in(2)}),
    "throttled for an hour": lambda: Response(status_code=429, headers={"Retry-After": "3600"}),
    "no JSON": lambda: Response("{half"),
    "no completion": lambda: JSONResponse({"object": "list", "data": []}),
    "cut off": lambda: Half(),
    "endless": lambda: Response(b" " * (2 << 20)),
    "locked": lambda: Response(status_code=401),
    "elsewhere": lambda: Response(status_code=307, headers={"Location": "/v1/other"}),
}


class JudgeServer:
    """``app`` is the server; the attributes say how it behaves, ``asked`` what it was sent."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.app.post("/v1/chat/completions")(self._complete)
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.faults: list[str] = []
        self.always: str | None = None
        self.seconds = 0.0
        self.refuses: tuple[str, ...] = ()
        self.plain: str | None = None
        self.tells = True
        self.stubborn: int | None = None
        self.unsure: str | None = None
        self.thinks = ""
        self.model, self.fingerprint = "judge-1", "fp-1"
        self.at_once = self.most_at_once = 0

    @property
    def texts(self) -> list[str]:
        """What the judge was asked, call by call."""
        return [body["messages"][-1]["content"] for body in self.asked]

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.keys.add(request.headers.get("Authorization"))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        if fault := self.faults.pop(0) if self.faults else self.always:
            return FAULTS[fault]()
        if set(self.refuses) & body.keys():
            return JSONResponse({"error": "this server cannot do that"}, 400)
        return JSONResponse(self._completion(body))

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        content = self._content(body)
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        if body.get("logprobs") and self.tells:
            choice["logprobs"] = {"content": _tokens(content)}
        said = {"model": self.model, "system_fingerprint": self.fingerprint, "usage": {"total_tokens": 10}}
        return {"object": "chat.completion", "choices": [choice], **said}

    def _content(self, body: dict[str, Any]) -> str:
        asked = body["messages"][-1]["content"]
        found = RESPONSE.search(asked)
        assert found is not None
        numbers = {name: self._number(name, *rest, response=found[2]) for name, *rest in CRITERION.findall(asked)}
        if self.plain is not None:
            return "\n".join(self.plain.format(name=name, number=number) for name, number in numbers.items())
        properties = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
        reasons = {name for name, shape in properties.items() if shape["type"] == "object"}
        said = {n: {"reason": "It is so 🙂.", "score": x} if n in reasons else x for n, x in numbers.items()}
        return self.thinks + json.dumps(said, ensure_ascii=False)

    def _number(self, name: str, low: str, says: str, high: str, response: str) -> int | None:
        if name == self.unsure:
            return None
        if self.stubborn is not None:
            return self.stubborn
        value = score(response, name, int(low), int(high))
        return value if says == "not at all" else int(low) + int(high) - value


def _in(seconds: int) -> str:
    """The time then, as HTTP writes it: without fractions."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def score(response: str, name: str, low: int = 1, high: int = 5) -> int:
    """What the judge thinks of a response."""
    return low + int(digest(response + name)[:6], 16) % (high - low + 1)


def expected(written: int, low: int = 1, high: int = 5) -> float:
    """The mean of the judge's distribution over a scale, where ``written`` is likeliest."""
    other = next(number for number in range(low, high + 1) if number != written)
    return SURE * written + (1 - SURE) * other


def _tokens(content: str) -> Sequence[dict[str, Any]]:
    """A token for each byte, so that a character may be several; numbers are those of a scale from 1 to 5."""
    tokens = []
    for byte in content.encode():
        token = chr(byte) if byte < 128 else "\N{REPLACEMENT CHARACTER}"
        top = [{"token": token, "logprob": 0.0}]
        if token.isdecimal():
            other = next(number for number in range(1, 6) if number != int(token))
            top = [(token, SURE), (f" {other}", 1 - SURE), ("null", 0.1), ("7", 0.1)]
            top = [{"token": text, "logprob": math.log(chance)} for text, chance in top]
        tokens.append({"token": token, "logprob": 0.0, "bytes": [byte], "top_logprobs": top})
    return tokens
