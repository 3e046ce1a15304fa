"""Who reads /metrics: this machine itself, a key, or nobody."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Literal

import httpx
import pytest
from fastapi import FastAPI

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.keys import stored_keys
from app.storage.opening import open_store

pytestmark = pytest.mark.slow

Listen = Callable[[FastAPI], AbstractContextManager[str]]
PROXIED = ["X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-proto", "Forwarded", "X-Real-IP", "Via"]


@pytest.fixture
async def key(settings: Settings) -> str:
    async with stored_keys(settings) as keys:
        return (await keys.create("acme"))[1]


@pytest.fixture
def served(settings: Settings, engine: Engine, listen: Listen, key: str) -> Iterator[Callable[[str], str]]:
    """The address of a real service with a key, under a choice of the setting."""
    with ExitStack() as opened:

        def serve(metrics: Literal["loopback", "keyed", "off"]) -> str:
            chosen = settings.model_copy(update={"metrics": metrics})
            return opened.enter_context(listen(create_app(chosen, open_store(chosen), engine)))

        yield serve


def read(url: str, **headers: str) -> int:
    return httpx.get(f"{url}/metrics", headers=headers).status_code


def test_this_machine_reads_them_but_no_proxy_on_it(served: Callable[[str], str], key: str) -> None:
    url = served("loopback")
    assert read(url) == 200
    for header in PROXIED:
        for value in ("203.0.113.9", "127.0.0.1", "for=127.0.0.1", ""):
            assert read(url, **{header: value}) == 401, (header, value)
        assert read(url, **{header: "203.0.113.9", "Authorization": f"Bearer {key}"}) == 200


def test_with_the_setting_everybody_needs_a_key(served: Callable[[str], str], key: str) -> None:
    url = served("keyed")
    assert read(url) == 401
    assert read(url, Authorization=f"Bearer {key}") == 200


def test_they_can_be_turned_off(served: Callable[[str], str], key: str) -> None:
    reply = httpx.get(f"{served('off')}/metrics", headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 404
    assert "KEEL_METRICS" in reply.json()["detail"]


def test_another_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Settings(data_dir=tmp_path, metrics="open")
