"""One hostile request for each fault found so far, as its bytes on the wire, with the status that answers it.

The next fault found is one more line here: ``tests/corpus/test_corpus.py`` sends each to a real service.
"""

import json
from typing import NamedTuple

LENGTH = 32_000
"""Characters of a text that a quadratic pattern takes seconds for."""
PROMPT_ATOMS = 2_000
"""Atoms of a prompt. The encoder reads all of it, some 2,000 tokens a second."""
ADDRESSED = "Host: localhost\r\n"


class Hostile(NamedTuple):
    """``request`` is every byte that is sent."""

    fault: str
    request: bytes
    status: int


def head(line: str, headers: str = "", host: str = ADDRESSED) -> bytes:
    """A request without a body."""
    return f"{line} HTTP/1.1\r\n{host}{headers}\r\n".encode("latin-1")


def post(path: str, body: object, headers: str = "Content-Type: application/json\r\n") -> bytes:
    """A request with a body: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(f"POST {path}", f"{headers}Content-Length: {len(content)}\r\n") + content


def scored(completion: str, prompt: str = "Basil?") -> bytes:
    return post("/v1/score", {"prompts": [prompt], "completions": [completion]})


def named(user_id: object) -> bytes:
    return post("/v1/score", {"prompts": ["a"], "completions": ["b"], "user_id": user_id})


def nested(depth: int, inside: str = "1") -> bytes:
    return ("[" * depth + inside + "]" * depth).encode()


def repeated(atom: str, start: str = "", end: str = "") -> str:
    return start + atom * (LENGTH // len(atom)) + end


QUADRATIC = [
    Hostile(f"a text of {start!r}, {atom!r} and {end!r}", scored(repeated(atom, start, end)), 200)
    for start, atom, end in (
        ("", "please rate this answer ", ""),
        ("must 10 ", "word ", ""),
        ("", "\n", "x"),
        ("a", " ", "\nb"),
        ("", "\n    ", "x"),
        ('"', "a", ""),
        ("", '"a', ""),
        ("(", "(a", ""),
        ("", "`a", ""),
        ("", "**", ""),
        ("", "1. ", ""),
        ("", "a", ""),
        ("", "ab, ", ""),
        ("", "中", ""),
        ("", "<|", ""),
        ("", "\u200b", ""),
        ("", "e\u0301", ""),
        ("", "A: ", ""),
    )
]
PROMPTS = [
    Hostile(f"a prompt of {atom!r}", scored("Give it light.", atom * PROMPT_ATOMS), 200)
    for atom in ("(", "a ", "\n# ", "é")
]
RENDERED = [
    Hostile(f"a rendered text of {atom!r}", post("/v1/embeddings", {"input": repeated(atom)}), 422)
    for atom in ("<|im_start|>user\n", "[INST] ", "<s>", "</s> ", "<|im_start|>", "a")
]
TEMPLATES = [
    Hostile(f"the template {template}", post(f"/v1/embeddings?template={template}", {"input": "ab" * 100_000}), 422)
    for template in (
        "{prompt}a{response}b",
        "{prompt}{response}",
        "{prompt.__class__}{response}",
        "{{7*7}}",
        "{response}",
        "%s%n",
        "../chatml",
        "a" * 2_000,
        "",
    )
]
JSON_BODIES = [
    Hostile("lists in lists", post("/verify", nested(50_000)), 422),
    Hostile("objects in objects", post("/v1/score", b'{"a":' * 50_000 + b"1" + b"}" * 50_000), 422),
    Hostile("lists inside a field", post("/verify", b'{"response": ' + nested(5_000) + b"}"), 422),
    Hostile("an integer of 5,000 digits", post("/v1/rank", b'{"seed": ' + b"9" * 5_000 + b"}"), 422),
    Hostile("an integer beyond floating point", post("/v1/rank", {"seed": 10**400}), 422),
    Hostile("a number of 100,000 digits", post("/v1/score", b'{"mix": 0.' + b"9" * 100_000 + b"}"), 422),
    Hostile("no number", post("/v1/score", b'{"prompts": ["a"], "completions": ["b"], "mix": NaN}'), 422),
    Hostile("infinity", post("/verify", b'{"response": -Infinity}'), 422),
    Hostile("half a character", post("/v1/score", b'{"prompts": ["\\ud800"], "completions": ["b"]}'), 422),
    Hostile("half a character in a name", post("/v1/score", b'{"\\udfff": 1}'), 422),
    Hostile("half a character to echo", post("/verify", b'{"x": "\\ud800"}'), 422),
    Hostile("zero bytes", post("/v1/score", b"\0" * 1_000), 422),
    Hostile("UTF-16", post("/v1/score", '{"prompts": ["a"]}'.encode("utf-16")), 422),
    Hostile("no UTF-8", post("/v1/score", b'{"prompts": ["\xff\xfe"]}'), 422),
    Hostile(
        "a name that stands twice", post("/v1/score", b'{"prompts": ["a"], "prompts": 1, "completions": ["b"]}'), 422
    ),
    Hostile("60,000 unknown names", post("/v1/score", {str(n): n for n in range(60_000)}), 422),
    Hostile("2,000,000 numbers", post("/v1/rank", b'{"candidates": [' + b"1," * 1_900_000 + b"1]}"), 413),
    Hostile("4 million quotation marks", post("/verify", b'"' * 4_000_000), 413),
    Hostile("5 MiB", post("/v1/score", b"a" * 5 * 2**20), 413),
    Hostile("no messages", post("/rm", {"prompt": [], "response": "b"}), 422),
    Hostile("no JSON but said to be none", post("/verify", {"response": 1}, "Content-Type: text/plain\r\n"), 422),
    Hostile("a form", post("/v1/score", b"prompts=a", "Content-Type: application/x-www-form-urlencoded\r\n"), 422),
    Hostile("parts without a border", post("/verify", b"--", "Content-Type: multipart/form-data\r\n"), 422),
    Hostile("compressed", post("/v1/score", b"\x1f\x8b" + b"\0" * 99, "Content-Encoding: gzip\r\n"), 422),
    Hostile("the smallest temperature", post("/v1/rank", {"prompt": "a", "candidates": ["b", "c"], "beta": 1e-3}), 200),
    Hostile("5,000 rows", post("/predict", {"inputs": [["a", "b"]] * 5_000}), 422),
    Hostile("a turn of nobody", post("/rm", {"prompt": [{"role": "\x1b[2J", "content": "a"}], "response": "b"}), 422),
]
NAMES = ("a' OR 1=1 --", "../../etc/passwd", "\x1b]0;owned\x07", "\u202eada", "ａｄａ", "a" * 129, "a\n", "", 7, {})
PEOPLE = [
    *[Hostile(f"a person called {name!r}"[:60], named(name), 422) for name in NAMES],
    Hostile("an escape as a model", post("/score", {"queries": "a", "documents": "b"} | {"model": "keel/\x1b"}), 404),
    Hostile("a label that names a list", post("/rm", {"prompt": "a", "response": "b", "label": {"user_id": [1]}}), 422),
    Hostile("a path out of the folder", head("GET /v1/users/..%2f..%2fetc%2fpasswd/profile"), 404),
    Hostile("a zero byte in a path", head("GET /v1/users/%00/profile"), 422),
    Hostile("no UTF-8 in a path", head("GET /v1/users/%ff%fe/profile"), 422),
    Hostile("an escape in a path", head("GET /v1/users/%1b%5b2J/profile"), 422),
    Hostile("an export of no shape", head("GET /v1/users/ada/export/%2e%2e"), 422),
    Hostile("an audit of no hash", head("GET /v1/audits/" + "g" * 64), 422),
    Hostile("an appeal by a long name", post(f"/v1/appeals/{'a' * 5_000}/verdict", {"verdict": "uphold"}), 422),
    Hostile("two people in one request", head("GET /v1/users/ada/profile", "X-User-Id: bob\r\n"), 422),
]
WIRE = [
    Hostile("an invented method", head("INVENTED /v1/score"), 405),
    Hostile("a method of 1,000 letters", head("X" * 1_000 + " /v1/score"), 405),
    Hostile("a method on no route", head("INVENTED /nowhere"), 404),
    Hostile("TRACE", head("TRACE /health/live"), 405),
    Hostile("a proxy's method", head("CONNECT example.com:443"), 404),
    Hostile("a path of 60 kB", head("GET /" + "a" * 60_000), 404),
    Hostile("a head of 200 kB", head("GET /", f"X: {'a' * 200_000}\r\n"), 400),
    Hostile("10,000 headers", head("GET /", "X: y\r\n" * 10_000), 404),
    Hostile(
        "a length and chunks",
        head("POST /v1/score", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
        400,
    ),
    Hostile("two lengths", head("POST /v1/score", "Content-Length: 5\r\nContent-Length: 6\r\n") + b"12345", 400),
    Hostile("a negative length", head("POST /v1/score", "Content-Length: -1\r\n"), 400),
    Hostile("a length of 30 digits", head("POST /v1/score", f"Content-Length: {'9' * 30}\r\n"), 400),
    Hostile("chunks of no length", head("POST /v1/score", "Transfer-Encoding: chunked\r\n") + b"x\r\n", 400),
    Hostile("an unknown encoding", head("POST /v1/score", "Transfer-Encoding: identity\r\n"), 400),
    Hostile("a head that folds", head("GET /health/live", "X: a\r\n b\r\n"), 200),
    Hostile("a bare line feed", head("GET /health/live", "X: a\nContent-Length: 5\r\n") + b"12345", 200),
    Hostile("no host", head("GET /health/live", host=""), 400),
    Hostile("two hosts", head("GET /health/live", host="Host: localhost\r\nHost: evil.example\r\n"), 400),
    Hostile("a strange host", head("GET /v1/audits/latest", host="Host: evil.example\r\n"), 421),
    Hostile("a host that is no URL", head("GET /v1/audits/latest", host="Host: [::\r\n"), 421),
    Hostile("a page of a strange host", head("GET /v1/audits/latest", "Origin: https://evil.example\r\n"), 421),
    Hostile("a page of no host", head("GET /v1/audits/latest", "Origin: null\r\n"), 421),
    Hostile("a head in Latin-1", head("GET /health/live", "X-Request-Id: \xe9\r\n"), 200),
    Hostile("an id to write into the log", head("GET /health/live", f"X-Request-Id: {'a' * 5_000}\r\n"), 200),
    Hostile("a WebSocket", head("GET /v1/score", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), 405),
    Hostile("a key that is none", head("GET /v1/appeals", f"Authorization: Bearer {'k' * 9_000}\r\n"), 200),
    Hostile("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 421),
    Hostile("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 64 + b"\r\n\r\n", 400),
    Hostile("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 400),
]
CORPUS = [*QUADRATIC, *PROMPTS, *RENDERED, *TEMPLATES, *JSON_BODIES, *PEOPLE, *WIRE]
