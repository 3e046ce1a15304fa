"""Every reply names its request, and so do the log, an error's body and the client."""

import json
import logging
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from app.http.middleware import OWN
from keel import Client, Problem

REPLIES = {
    200: ("GET", "/info", {}),
    404: ("GET", "/nowhere", {}),
    405: ("PUT", "/info", {}),
    413: ("POST", "/v1/score", {"content": b"x" * 300_000}),
    421: ("GET", "/info", {"headers": {"Host": "evil.example"}}),
    422: ("POST", "/v1/score", {"json": {"prompts": 3}}),
    500: ("GET", "/broken", {}),
}
UNSAFE = ["", " ", "a b", "a" * 65, "ä", "a;b", "a/b", 'a"b', "a,b", "\x1b[31m", "a\tb"]


@pytest.fixture
def logged() -> Iterator[list[dict[str, object]]]:
    """The fields of the service's lines as they are written."""
    lines: list[dict[str, object]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append({"event": record.getMessage(), **getattr(record, "fields", {})})

    handler, log = Lines(), logging.getLogger(OWN)
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield lines
    log.removeHandler(handler)
    log.setLevel(before)


@pytest.fixture
def broken(service_app: FastAPI) -> None:
    @service_app.get("/broken")
    async def broken() -> None:
        raise RuntimeError


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("status", REPLIES)
async def test_a_callers_id_comes_back_in_header_body_and_log(
    status: int, http: httpx.AsyncClient, logged: list[dict[str, object]]
) -> None:
    method, path, request = REPLIES[status]
    headers = {**request.get("headers", {}), "X-Request-Id": "train-7.step_12"}
    reply = await http.request(method, path, **{**request, "headers": headers})
    assert reply.status_code == status
    assert reply.headers.get_list("X-Request-Id") == ["train-7.step_12"]
    if status >= 400:
        assert reply.json()["request_id"] == "train-7.step_12"
    assert logged
    assert {line["request_id"] for line in logged} == {"train-7.step_12"}


@pytest.mark.parametrize("path", ["/rerank", "/v1/embeddings", "/classify", "/verify", "/v2/rerank"])
async def test_errors_in_other_clients_formats_have_it_too(path: str, http: httpx.AsyncClient) -> None:
    reply = await http.post(path, json={"model": 3}, headers={"X-Request-Id": "r1"})
    assert reply.status_code == 422
    assert (reply.headers["X-Request-Id"], reply.json()["request_id"]) == ("r1", "r1")


@pytest.mark.parametrize("unsafe", UNSAFE)
async def test_an_id_that_is_not_safe_to_repeat_is_replaced(
    unsafe: str, http: httpx.AsyncClient, logged: list[dict[str, object]]
) -> None:
    reply = await http.get("/info", headers=[(b"X-Request-Id", unsafe.encode())])
    given = reply.headers["X-Request-Id"]
    assert len(given) == 32
    assert int(given, 16)
    assert [line["request_id"] for line in logged] == [given]


async def test_two_ids_are_none(http: httpx.AsyncClient) -> None:
    reply = await http.get("/info", headers=[("X-Request-Id", "one"), ("X-Request-Id", "two")])
    assert reply.headers["X-Request-Id"] not in {"one", "two", "one, two"}


async def test_each_request_gets_its_own(http: httpx.AsyncClient) -> None:
    ids = {(await http.get("/health/live")).headers["X-Request-Id"] for _ in range(20)}
    assert len(ids) == 20


def test_the_client_gives_it_with_an_error() -> None:
    def answered(request: httpx.Request) -> httpx.Response:
        status = int(request.url.path.split("/")[3])
        body = {"status": status, "detail": "why"}
        return httpx.Response(status, content=json.dumps(body), headers={"X-Request-Id": f"id-{status}"})

    with Client("http://keel.test", transport=httpx.MockTransport(answered)) as client:
        with pytest.raises(Problem) as missing:
            client.own_audit("404")
        with pytest.raises(Problem) as fault:
            client.own_audit("500")
    assert (missing.value.request_id, str(missing.value)) == ("id-404", "404 why")
    assert (fault.value.request_id, str(fault.value)) == ("id-500", "500 why (request id-500)")


def test_the_client_takes_errors_of_services_that_send_none() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(500, json={"detail": "why"}))
    with Client("http://keel.test", transport=transport) as client, pytest.raises(Problem) as fault:
        client.info()
    assert (fault.value.request_id, str(fault.value)) == (None, "500 why")
