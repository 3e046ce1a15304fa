"""Keys and tenants over real HTTP and real SQLite: who is let in, as whom, and under which name of the service."""

import asyncio
import json
import logging
import re
import sqlite3
from contextlib import nullcontext
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send
from test_cli import free_port, serving, wait_for
from typer.testing import CliRunner

from app.cli import app
from app.errors import Unauthorized as Refused
from app.http.access import OPEN_PATHS as OPEN
from app.http.admission import RequireKey, presented
from app.http.logs import JsonLines
from app.jobs.doctor import login
from app.serve import require_startable
from app.settings import Settings
from app.storage.examining import examine
from app.storage.keys import ANYTHING, LOCAL, Keys, Wish, scopes_of, stored_keys
from app.storage.opening import open_store
from app.storage.registry import Scope as KeyScope
from app.web_page import require_login
from elicitation.errors import InvalidInput
from keel import Client, NotFound, Unauthorized

pytestmark = pytest.mark.slow

UNKNOWN = f"keel_{'0' * 12}_{'0' * 64}"


def made(settings: Settings, tenant: str) -> str:
    """What a client sends."""

    async def create() -> str:
        async with stored_keys(settings) as keys:
            return (await keys.create(tenant))[1]

    return asyncio.run(create())


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@dataclass(frozen=True)
class Tenants:
    """A real server with one key for each of two tenants."""

    url: str
    acme: str
    zeta: str


@pytest.fixture
def tenants(live: str, settings: Settings) -> Tenants:
    return Tenants(live, made(settings, "acme"), made(settings, "zeta"))


def documented(url: str) -> list[tuple[str, str]]:
    """Every method and path of the service's own documentation, with something in place of ids."""
    described = httpx.get(f"{url}/openapi.json").json()["paths"]
    paths = {re.sub(r"\{\w+\}", "ada", path): methods for path, methods in described.items()}
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def test_without_any_key_whoever_is_on_this_machine_is_the_tenant_local(live: str, settings: Settings) -> None:
    with Client(live, key="some clients always send one") as client:
        client.ask("ada")
    connection = sqlite3.connect(settings.database)
    assert connection.execute("select tenant_id, user_id from visits").fetchall() == [(LOCAL, "ada")]
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {UNKNOWN}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"X-API-Key": UNKNOWN},
        {"X-API-Key": "\u00e9"},
    ],
)
def test_with_keys_every_route_but_the_open_ones_wants_a_valid_one(tenants: Tenants, headers: dict[str, str]) -> None:
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    closed = [(method, path) for method, path in documented(tenants.url) if path not in OPEN | {"/metrics"}]
    assert len(closed) > 10
    with httpx.Client(base_url=tenants.url) as http:
        for method, path in [*closed, ("POST", "/no/such/door")]:
            reply = http.request(method, path, headers=sent)
            assert reply.status_code == 401, (method, path)
            assert reply.headers["WWW-Authenticate"] == 'Bearer realm="keel"'
            assert reply.headers["content-type"] == "application/problem+json"
            assert "keel key create" in reply.json()["detail"]
        for path in OPEN - {"/health/ready"}:
            assert http.get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"Authorization": "Bearer k"}, "k"),
        ({"Authorization": "BEARER k"}, "k"),
        ({"X-API-Key": "k"}, "k"),
        ({"Authorization": "Basic x", "X-API-Key": "k"}, "k"),
        ({"Authorization": "Bearer k", "X-API-Key": "other"}, "k"),
        ({"Authorization": "Basic x"}, None),
        ({}, None),
    ],
)
def test_a_key_is_read_from_either_header(headers: dict[str, str], key: str | None) -> None:
    assert presented(Headers(headers)) == key


def test_both_headers_open_the_tenant_of_the_key(tenants: Tenants) -> None:
    with Client(tenants.url, key=tenants.acme) as client:
        client.ask("ada")
    for headers in ({"Authorization": f"Bearer {tenants.acme}"}, {"X-API-Key": tenants.acme}):
        assert httpx.get(f"{tenants.url}/v1/users/ada/profile", headers=headers).status_code == 200


@pytest.mark.slow
def test_another_tenants_key_finds_nobody_and_changes_not_a_byte(tenants: Tenants) -> None:
    own = {"Authorization": f"Bearer {tenants.acme}"}
    foreign = {"Authorization": f"Bearer {tenants.zeta}"}
    person = f"{tenants.url}/v1/users/ada"
    with Client(tenants.url, key=tenants.acme) as client:
        question = client.ask("ada")
        assert question is not None
        version = client.tell("ada", question.question_id, "left").profile_version
        audit_id = client.audit()["audit_id"]
    before = [httpx.get(f"{person}/{what}", headers=own).content for what in ("profile", "export")]
    answer = {"question_id": question.question_id, "choice": "right"}
    texts = {"prompts": ["Basil?"], "completions": ["Water it."], "user_id": "ada", "profile_version": version}
    attempts: list[tuple[str, str, object]] = [
        ("GET", f"{person}/profile", None),
        ("GET", f"{person}/profile?version={version}", None),
        ("GET", f"{person}/export", None),
        ("POST", f"{person}/answers", answer),
        ("DELETE", f"{person}/answers/last", None),
        ("DELETE", person, None),
        ("POST", f"{tenants.url}/v1/score", texts),
        ("GET", f"{tenants.url}/v1/audits/{audit_id}", None),
    ]
    for method, url, body in attempts:
        assert httpx.request(method, url, json=body, headers=foreign).status_code == 404, (method, url)
    assert [httpx.get(f"{person}/{what}", headers=own).content for what in ("profile", "export")] == before


def test_one_name_in_two_tenants_is_two_people(tenants: Tenants) -> None:
    for key, choice in ((tenants.acme, "left"), (tenants.zeta, "right")):
        with Client(tenants.url, key=key) as client:
            question = client.ask("ada", seed=1)
            assert question is not None
            client.tell("ada", question.question_id, choice)
    with Client(tenants.url, key=tenants.acme) as client:
        assert [entry["choice"] for entry in client.export("ada")["answers"]] == ["left"]
        client.forget("ada")
        with pytest.raises(NotFound):
            client.profile("ada")
    with Client(tenants.url, key=tenants.zeta) as client:
        assert [entry["choice"] for entry in client.export("ada")["answers"]] == ["right"]


def test_the_client_raises_unauthorized_with_the_remedy(tenants: Tenants) -> None:
    with Client(tenants.url) as client, pytest.raises(Unauthorized, match="keel key create") as refused:
        client.profile("ada")
    assert refused.value.status == 401


def test_a_large_body_without_a_key_gets_its_401_over_a_socket(tenants: Tenants) -> None:
    address = urlsplit(tenants.url)
    connection = HTTPConnection(address.hostname or "", address.port)
    connection.request("POST", "/v1/score", body=b"x" * 3_000_000, headers={"content-type": "application/json"})
    assert connection.getresponse().status == 401
    connection.close()


def test_a_running_service_heeds_a_revoked_key_at_once_and_never_opens_again(
    tenants: Tenants, settings: Settings
) -> None:
    with Client(tenants.url, key=tenants.acme) as client:
        client.info()
        for key in (tenants.acme, tenants.zeta):
            key_id = key.split("_")[1]
            ended = CliRunner().invoke(app, ["key", "revoke", key_id, "--data-dir", str(settings.data_dir), "--json"])
            assert json.loads(ended.stdout)["revoked_at"]
        with pytest.raises(Unauthorized, match="revoked"):
            client.info()
    with Client(tenants.url) as nobody, pytest.raises(Unauthorized, match="none was sent"):
        nobody.info()


def test_the_command_shows_a_secret_once_and_stores_its_hash_alone(tmp_path: Path) -> None:
    folder = ["--data-dir", str(tmp_path / "data")]
    created = CliRunner().invoke(app, ["key", "create", "--tenant", "acme", *folder, "--json"])
    key = json.loads(created.stdout)
    assert set(key) == {"key_id", "tenant", "key", "scopes", "expires_at", "bound_to", "max_tokens"}
    secret = key["key"].rsplit("_", 1)[1]
    assert len(bytes.fromhex(secret)) * 8 == 256
    assert secret.encode() not in content(tmp_path / "data")
    listed = CliRunner().invoke(app, ["key", "list", *folder, "--json"])
    assert [found["key_id"] for found in json.loads(listed.stdout)["keys"]] == [key["key_id"]]
    assert "digest" not in listed.stdout
    shown = CliRunner().invoke(app, ["key", "list", *folder], env={"COLUMNS": "120"}).stdout
    assert key["key_id"] in shown
    assert "acme" in shown
    assert CliRunner().invoke(app, ["key", "revoke", "nope", *folder]).exit_code == 1
    odd = CliRunner().invoke(app, ["key", "create", "--tenant", "a b", *folder])
    assert isinstance(odd.exception, InvalidInput)


def test_no_log_line_holds_a_key(tenants: Tenants, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for key in (tenants.acme, UNKNOWN):
        httpx.get(f"{tenants.url}/v1/users/ada/profile", headers={"Authorization": f"Bearer {key}"})
    # A line is written after its reply was sent: the next reply is the sign that it is there.
    httpx.get(f"{tenants.url}/health/live")
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "keel"]
    assert [json.loads(line)["status"] for line in lines][:2] == [404, 401]
    assert "keel_" not in "".join(record.getMessage() for record in caplog.records) + "".join(lines)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:80", None, 200),
        ("localhost", "http://localhost:8765", 200),
        ("[::1]:80", None, 200),
        ("LOCALHOST:1", None, 200),
        ("attacker.example", None, 421),
        ("127.0.0.1.attacker.example", None, 421),
        ("localhost", "https://attacker.example", 421),
        ("localhost", "null", 421),
        ("[", None, 421),
        ("", None, 421),
    ],
)
def test_on_loopback_only_our_own_names_are_answered(live: str, host: str, origin: str | None, status: int) -> None:
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    reply = httpx.get(f"{live}/info", headers=headers)
    assert reply.status_code == status
    if status == 421:
        assert "KEEL_ALLOWED_HOSTS" in reply.json()["detail"]


def test_further_names_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_ALLOWED_HOSTS", "keel.example,other.example")
    assert {"keel.example", "other.example", "localhost"} <= (Settings().hosts or set())
    monkeypatch.delenv("KEEL_ALLOWED_HOSTS")
    assert Settings(host="0.0.0.0").hosts is None
    assert Settings(host="0.0.0.0", allowed_hosts=("keel.example",)).hosts == {
        "0.0.0.0",
        "keel.example",
        "localhost",
        "127.0.0.1",
        "::1",
    }


async def passed(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 401)])
async def test_metrics_are_for_this_machine_or_a_key(tmp_path: Path, address: str, status: int) -> None:
    store = open_store(Settings(data_dir=tmp_path))
    await store.open()
    keys = Keys(store.registry)
    _, key = await keys.create("acme")
    door, seen = RequireKey(passed, keys), []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        seen.append(message.get("status"))

    for headers in ([], [(b"x-api-key", key.encode())]):
        scope = {"type": "http", "path": "/metrics", "headers": headers, "client": (address, 1)}
        await door(scope, receive, send)
    await store.close()
    assert [number for number in seen if number] == [status, 200]


async def test_a_service_that_others_reach_needs_a_key_even_before_one_was_made(tmp_path: Path) -> None:
    store = open_store(Settings(data_dir=tmp_path))
    await store.open()
    with pytest.raises(Refused):
        await Keys(store.registry, required=True).grant(None)
    await store.close()


def test_serving_others_begins_with_a_key_and_the_page_stays_on_this_machine(tmp_path: Path) -> None:
    settings = Settings(host="0.0.0.0", port=free_port(), data_dir=tmp_path)
    with pytest.raises(InvalidInput, match="keel key create"):
        require_startable(settings, ui=False)
    key = made(settings, "acme")
    require_startable(settings, ui=False)
    with pytest.raises(InvalidInput, match="KEEL_KEY"):
        require_startable(settings, ui=True)
    with_key = settings.model_copy(update={"key": SecretStr(key), "ui_port": free_port()})
    with pytest.raises(InvalidInput, match="KEEL_LOGIN"):
        require_startable(with_key, ui=True)
    require_startable(with_key.model_copy(update={"login": "header"}), ui=True)
    assert settings.ui_address.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("wish", "auditors", "said"),
    [
        (Wish(frozenset({KeyScope.DELEGATE})), (), None),
        (Wish(frozenset({KeyScope.DELEGATE, KeyScope.AUDIT})), ("eve",), None),
        (Wish(frozenset({KeyScope.DELEGATE})), ("eve",), "--scope audit --scope delegate"),
        (Wish(frozenset({KeyScope.SCORE, KeyScope.ELICIT})), (), "has elicit, score, and the web page needs delegate"),
        (Wish(bound_to="ada"), (), "needs delegate"),
        (None, (), "unknown, expired or revoked"),
    ],
)
async def test_a_page_does_not_start_with_a_key_that_cannot_do_its_work(
    tmp_path: Path, wish: Wish | None, auditors: tuple[str, ...], said: str | None
) -> None:
    async with stored_keys(Settings(data_dir=tmp_path)) as keys:
        presented = (await keys.create("acme", wish or ANYTHING))[1]
        stored = await keys.all()
    key = UNKNOWN if wish is None else presented
    settings = Settings(data_dir=tmp_path, login="header", key=SecretStr(key), auditors=auditors)
    with nullcontext() if said is None else pytest.raises(InvalidInput, match=said):
        require_login(settings, True, scopes_of(settings.key, stored))
    (found,) = login(settings, examine(settings.database))
    assert found.status == ("ok" if said is None else "warning")


@pytest.mark.parametrize(
    ("login", "proxies", "reached"),
    [
        ("token", "10.0.0.0/8", False),
        ("header", "127.0.0.1,::1", False),
        ("header", "10.0.0.0/8", True),
        ("oidc", "127.0.0.1", True),
    ],
)
def test_other_machines_reach_the_page_only_where_its_login_stops_them(login: str, proxies: str, reached: bool) -> None:
    settings = Settings(host="0.0.0.0", login=login, trusted_proxies=proxies)
    assert (settings.page_host == "0.0.0.0") == reached


def test_the_key_of_the_settings_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_KEY", UNKNOWN)
    assert Settings().shown_key == UNKNOWN
    assert UNKNOWN not in repr(Settings())


@pytest.mark.slow
def test_commands_and_the_web_page_use_the_key_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    key, ui_port = made(settings, "acme"), free_port()
    monkeypatch.setenv("KEEL_KEY", key)
    monkeypatch.setenv("KEEL_LOGIN", "header")
    with serving(tmp_path, "--ui-port", str(ui_port)) as (process, url):
        wait_for(f"http://127.0.0.1:{ui_port}/_stcore/health", process)
        said = CliRunner().invoke(app, ["score", "Basil?", "Water it.", "--url", url, "--json"])
        assert len(json.loads(said.stdout)["rewards"]) == 1
        commands = [arguments(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert any(b"--key-file" in line for line in commands)
        assert not any(key.encode() in line for line in commands)
        monkeypatch.delenv("KEEL_KEY")
        refused = CliRunner().invoke(app, ["score", "Basil?", "Water it.", "--url", url])
        assert isinstance(refused.exception, Unauthorized)


def arguments(path: Path) -> bytes:
    """What others may read of a process; nothing of one that has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
