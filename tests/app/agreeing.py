"""Rules between the parts of a request, for which a JSON schema has no words; a generated request is made to keep them.

- All places that name a person, or pin a version, agree: path, header, query, body, label.
- Lists of one request are as long as each other.
- The last message of a conversation with its response is the assistant's.
- A query begins with its prompt, and a template is the one that its texts were rendered with.
- An Idempotency-Key belongs to one request.
- The texts of a prompt or of a response, taken together, are no longer than one may be.
- A version is pinned for somebody, and a baseline or a rated response is none that the gate rejects.

Each of them is refused with 422, which test_refusals.py and tests/dialects try. Where a route ignores what it does not
know, a field of that kind may have a name that another route gives a meaning; such fields are left out.
"""

import json
import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any

from hypothesis import strategies as st

REAL = "Give it six hours of light and water it when the top of the soil is dry."
"""A response that the gate accepts."""
SHORT = 2_000
"""Characters that a generated conversation may have as JSON, which has more than its texts."""
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<|>[]"), max_size=30)
RENDERED = st.builds(
    "<|im_start|>user\nBasil? {}<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>\n".format, PLAIN, PLAIN
)
"""Texts of the format rendered-chat."""
ROWS = ("completions", "candidates", "documents", "texts", "query", "text", "input", "inputs", "messages")
"""The list of a body that says how many rows it has."""
PARALLEL = ("prompts", "queries", "user_ids", "labels", "baselines", "agreement")
ONE, MANY = ("prompt", "response", "a", "b"), ("prompts", "completions", "candidates")
"""Where a body has one conversation or response, and where it has many."""
NAMES = ("user_ids", "user_id", "user")
RULED = frozenset({*ROWS, *PARALLEL, *NAMES, "label", "model", "baseline", "level", "responses_create_params"})
"""The fields that the rules are about."""
Body = dict[str, Any]
Parts = MutableMapping[str, Any]


def known(schema: Mapping[str, Any], document: Mapping[str, Any]) -> set[str]:
    """Names of all properties that the ``schema`` of a body in an OpenAPI ``document`` has."""
    if "$ref" in schema:
        return known(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], document)
    parts = [part for word in ("anyOf", "oneOf", "allOf") for part in schema.get(word, ())]
    return {*schema.get("properties", ())}.union(*(known(part, document) for part in parts))


def agree(body: object, path: Mapping[str, Any], query: Parts, headers: Parts, names: set[str]) -> None:
    """Change body, query and headers of a valid request, in place, so that they keep the rules.

    ``names`` are those that the route knows of the body.
    """
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = secrets.token_hex(8)
    query.pop("template", None)
    for what in ("profile", "basis"):
        if f"{what}_version" in query:
            headers.pop(f"X-Keel-{what.capitalize()}-Version", None)
    if isinstance(body, dict):
        for name in RULED - names:
            body.pop(name, None)
        _end_with_the_assistant(body)
        _be_short(body)
        _begin_with_prompts(body)
        _be_parallel(body)
        _be_real(body)
    _name_one(body if isinstance(body, dict) else {}, path, query, headers)


def _end_with_the_assistant(body: Body) -> None:
    for name in ("messages", "input"):
        messages = body.get(name)
        if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
            messages[0] |= {"role": "user", "content": "Basil?"}
            messages[-1]["role"] = "assistant"
            del messages[1 if _long(messages) else len(messages) : -1]


def _be_short(body: Body) -> None:
    params = body.get("responses_create_params")
    if isinstance(params, dict) and (params.get("instructions") or _long(params.get("input"))):
        params["input"] = "Basil?"
    for name in ONE:
        if _long(body.get(name)):
            body[name] = REAL
    for name in MANY:
        if isinstance(body.get(name), list):
            body[name] = [REAL if _long(each) else each for each in body[name]]


def _long(texts: object) -> bool:
    return isinstance(texts, list) and len(json.dumps(texts, ensure_ascii=False)) > SHORT


def _begin_with_prompts(body: Body) -> None:
    if isinstance(body.get("query"), list) and body.get("prompts"):
        body["query"] = [prompt + REAL for prompt in body["prompts"]]


def _be_parallel(body: Body) -> None:
    rows = next((body[name] for name in ROWS if isinstance(body.get(name), list)), [REAL])
    conversation = rows is not body.get("documents") and bool(rows) and isinstance(rows[0], dict)
    pair = rows is body.get("inputs") and not any(isinstance(one, list) for one in rows)
    number = 1 if conversation or pair else len(rows)
    for name in PARALLEL:
        if isinstance(body.get(name), list):
            given = body[name]
            body[name] = [given[row % len(given)] for row in range(number)] if given else None


def _be_real(body: Body) -> None:
    if body.get("baseline"):
        body["baseline"] = [REAL]
    if body.get("baselines"):
        body["baselines"] = [[REAL] for _ in body["baselines"]]
    if "level" in body and body.get("response") is not None:
        body["response"] = REAL


def _name_one(body: Body, path: Mapping[str, Any], query: Parts, headers: Parts) -> None:
    """Keep one of the places that name people, and pinned versions only where that is one person."""
    named = [name for name in NAMES if body.get(name)]
    for name in named[1:]:
        del body[name]
    for label in (body.get("label"), *(body.get("labels") or ()), body.get("responses_create_params")):
        if isinstance(label, dict):
            label.pop("user_id", None)
            label.pop("user", None)
    if str(body.get("model")).startswith("keel/"):
        body["model"] = "keel"
    if named or "user_id" in path:
        headers.pop("X-User-Id", None)
    people = {*body["user_ids"]} if body.get("user_ids") else {body[name] for name in named[:1]}
    people |= {headers["X-User-Id"]} if "X-User-Id" in headers else set()
    body.pop("profile_versions", None)
    if len(people) != 1:
        for pinned in (body, query):
            pinned.pop("profile_version", None)
        headers.pop("X-Keel-Profile-Version", None)
