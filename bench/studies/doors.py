"""``python -m bench.studies.doors``: speed of one-sample requests, beside two baselines, in turns within one run.

cached    requests per second of /get_reward with texts scored before, over those of a route in the same process with
          the same models, middleware and sizes that returns a constant; one kept-alive connection per client
uncached  texts per second of 64 clients that open a connection for each request, as OpenRLHF's do, each with a prompt
          and a response not seen before; over those of the bare encoder on batches of 32 of the same texts
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import httpx

from bench.studies.speed import texts
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.encoder_files import load_encoder

CLIENTS, CACHED_CLIENTS = 64, 16
CACHED_ROUNDS, CACHED_REQUESTS = 15, 320
UNCACHED_ROUNDS, UNCACHED_REQUESTS = 4, 128
BATCH = 32
PERSON = "ada"
SECONDS_TO_START = 120.0


def run() -> dict[str, Any]:
    """Both measurements; ratios are medians over rounds."""
    encoder = load_encoder()
    with service() as port:
        return {**asyncio.run(uncached(port, encoder)), **asyncio.run(cached(port))}


async def cached(port: int) -> dict[str, Any]:
    """The scoring route and the constant one take turns with the same bodies."""
    prompts, completions = texts("cached")
    bodies = [body(*pair) for pair in list(zip(prompts, completions, strict=True))[:CACHED_CLIENTS]]
    rates: dict[str, list[float]] = {"/constant": [], "/get_reward": []}
    for path in rates:
        await requests(port, path, bodies, CACHED_CLIENTS, alive=True)
    work = bodies * (CACHED_REQUESTS // CACHED_CLIENTS)
    for turn in range(CACHED_ROUNDS):
        for path in sorted(rates, reverse=bool(turn % 2)):
            rates[path].append(len(work) / await requests(port, path, work, CACHED_CLIENTS, alive=True))
    pairs = zip(rates["/get_reward"], rates["/constant"], strict=True)
    return {
        "cached_requests_per_second": round(median(rates["/get_reward"])),
        "constant_requests_per_second": round(median(rates["/constant"])),
        "cached_ratio": round(median(served / constant for served, constant in pairs), 3),
    }


async def uncached(port: int, encoder: Encoder) -> dict[str, Any]:
    """The clients and the bare encoder take turns on the same fresh texts."""
    served, bare = [], []
    for turn in range(-1, UNCACHED_ROUNDS):
        prompts, completions = (column[:UNCACHED_REQUESTS] for column in texts(f"round {turn}"))
        distinct = list(dict.fromkeys(text for pair in zip(prompts, completions, strict=True) for text in pair))
        bodies = [body(*pair) for pair in zip(prompts, completions, strict=True)]
        seconds = await requests(port, "/get_reward", bodies, CLIENTS, alive=False)
        started = time.perf_counter()
        for start in range(0, len(distinct), BATCH):
            encoder.encode(distinct[start : start + BATCH])
        if turn >= 0:  # the first is a warm-up
            bare.append(len(distinct) / (time.perf_counter() - started))
            served.append(len(distinct) / seconds)
    return {
        "uncached_texts_per_second": round(median(served), 1),
        "encoder_texts_per_second": round(median(bare), 1),
        "uncached_ratio": round(median(s / b for s, b in zip(served, bare, strict=True)), 3),
    }


def body(prompt: str, completion: str) -> bytes:
    """What OpenRLHF sends for one sample."""
    rendered = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    query = f"{rendered}{completion}<|im_end|>"
    return json.dumps({"query": [query], "prompts": [rendered], "labels": [{"user_id": PERSON}]}).encode()


async def requests(port: int, path: str, bodies: Sequence[bytes], clients: int, alive: bool) -> float:
    """Seconds that ``clients`` take to get a reply to each of ``bodies``, taken from one queue."""
    queue = list(bodies)
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, path, queue, alive) for _ in range(clients)))
    return time.perf_counter() - started


async def _client(port: int, path: str, queue: list[bytes], alive: bool) -> None:
    streams = None
    while queue:
        content = queue.pop()
        reader, writer = streams or await asyncio.open_connection("127.0.0.1", port)
        connection = "keep-alive" if alive else "close"
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Connection: {connection}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} answered {answer.splitlines()[0].decode()}")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        streams = (reader, writer) if alive else None
        if not alive:
            writer.close()
    if streams:
        streams[1].close()


@contextmanager
def service() -> Iterator[int]:
    """The port of a fresh service with a constant route and one person in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="keel-doors-") as folder:
        command = [sys.executable, "-m", "bench.studies.doors_server", str(port), folder]
        own = {name: value for name, value in os.environ.items() if not name.startswith("KEEL_")}
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=own)  # noqa: S603
        try:
            _wait(f"http://127.0.0.1:{port}", child)
            yield port
        finally:
            child.terminate()
            child.wait()


def _wait(url: str, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200:
                httpx.post(f"{url}/v1/users/{PERSON}/questions", trust_env=False).raise_for_status()
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the service was not ready within {SECONDS_TO_START:.0f} s")


if __name__ == "__main__":
    print(json.dumps(run()))
