"""A deployer's own checks: before any reward, named in the reasons, never passed over when they fail."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.http.api import create_app
from app.scoring.engine import Engine
from app.scoring.rubrics import load_rubrics
from app.settings import Settings
from app.storage.opening import open_store
from elicitation.errors import InvalidInput
from reward_bases.text import Conversation

HERE = "tests.app.test_rubrics"
GOOD, SHOUTED = "Give it light and water.", "GIVE IT LIGHT AND WATER!"


def no_shouting(conversation: Conversation, response: str) -> str | None:
    """A check as a deployer would write it."""
    return "written in capitals" if response.isupper() else None


def about_basil(conversation: Conversation, response: str) -> str | None:
    return None if "basil" in conversation.last_user else "not about basil"


def broken(conversation: Conversation, response: str) -> str | None:
    raise RuntimeError("the secret inside")


def wrong_type(conversation: Conversation, response: str) -> Any:
    return response.isupper()


@pytest.fixture
async def checked(
    request: pytest.FixtureRequest, settings: Settings, engine: Engine
) -> AsyncIterator[httpx.AsyncClient]:
    """The service with the rubrics that a test names."""
    names = tuple(f"{HERE}:{name}" for name in request.param)
    settings = settings.model_copy(update={"rubrics": names})
    app = create_app(settings, open_store(settings), engine)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def scored(http: httpx.AsyncClient, *texts: str, prompt: str = "basil?") -> httpx.Response:
    return await http.post("/v1/score", json={"prompts": [prompt] * len(texts), "completions": texts, "detail": True})


@pytest.mark.parametrize("checked", [("no_shouting", "about_basil")], indirect=True)
async def test_a_rejected_response_gets_the_floor_and_the_name_of_the_check(
    checked: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    reply, plain = (await scored(checked, GOOD, SHOUTED)).json(), (await scored(http, GOOD, SHOUTED)).json()
    gates = [detail["gate"] for detail in reply["details"]]
    assert gates == [{"pass": True, "reasons": []}, {"pass": False, "reasons": ["rubric:no_shouting"]}]
    assert reply["rewards"][0] == plain["rewards"][0], "a check is never a reward"
    assert reply["rewards"][1] < plain["rewards"][1]
    both = (await scored(checked, SHOUTED, prompt="mint?")).json()["details"][0]["gate"]["reasons"]
    assert both == ["rubric:no_shouting", "rubric:about_basil"]


@pytest.mark.parametrize("checked", [("no_shouting",)], indirect=True)
async def test_rank_and_compare_heed_the_checks_too(checked: httpx.AsyncClient) -> None:
    ranked = (await checked.post("/v1/rank", json={"prompt": "basil?", "candidates": [SHOUTED, GOOD]})).json()
    assert ranked["best"] == 1
    assert ranked["results"][1]["probability"] == 0
    compared = (await checked.post("/v1/compare", json={"prompt": "basil?", "a": SHOUTED, "b": GOOD})).json()
    assert compared["p_a"] < compared["p_b"]


@pytest.mark.parametrize("checked", [("broken",), ("wrong_type",)], indirect=True)
async def test_a_check_that_does_not_work_fails_the_request(checked: httpx.AsyncClient) -> None:
    reply = await scored(checked, GOOD)
    assert reply.status_code == 503
    assert "rubric " in reply.json()["detail"]
    assert "nothing was scored" in reply.json()["detail"]
    assert "secret" not in reply.text
    assert "rewards" not in reply.json()


@pytest.mark.parametrize("name", ["no.such.module:check", f"{HERE}:missing", HERE, f"{HERE}:GOOD", ":"])
def test_a_name_that_leads_to_no_function_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(InvalidInput, match="KEEL_RUBRICS"):
        load_rubrics([name])


def test_the_setting_takes_a_list_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_RUBRICS", f"{HERE}:no_shouting,{HERE}:about_basil")
    assert [rubric.name for rubric in load_rubrics(Settings().rubrics)] == ["no_shouting", "about_basil"]
