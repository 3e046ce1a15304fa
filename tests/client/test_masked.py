"""Rows that a source cannot judge, through the client and the reward function, over real HTTP."""

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from keel import AsyncClient, Client, Missing, Unavailable, keel_reward
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.source import Columns, Pair, Wrapped
from tests.client.servers import Server

pytestmark = pytest.mark.slow
BAD = "The judge cannot read this one."
PROMPTS, ANSWERS = ["Basil?"] * 3, ["Water it when the soil is dry.", BAD, "A diva, that basil! Sun, water, scissors."]
PEOPLE = ["ada"] * 3


class Judge(Wrapped):
    """The source that it wraps, which does not read BAD."""

    async def columns(self, pairs: list[Pair]) -> Columns:
        found = await self._source.columns(pairs)
        return replace(found, failed={row: "down" for row, pair in enumerate(pairs) if pair.response == BAD})


@pytest.fixture
def judged(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server with a source that does not read BAD."""

    def sources(*arguments: Any) -> tuple[Any, Any]:
        text, other = text_and_encoder(*arguments)
        return Judge(text), other

    monkeypatch.setattr("app.scoring.engine.text_and_encoder", sources)
    server.stop()
    server.start()
    return server


def test_the_client_names_the_rows_without_a_reward(judged: Server) -> None:
    with Client(judged.url) as client:
        whole = client.score(PROMPTS[:2], [ANSWERS[0], ANSWERS[2]], user_id="ada").rewards
        found = client.score_masked(PROMPTS, ANSWERS, user_id="ada", detail=True)
    assert found.rewards == (whole[0], None, whole[1])
    assert (found.details or ())[1] is None
    assert found.missing == (Missing(1, "text", "down"),)


async def test_so_does_the_asynchronous_client(judged: Server) -> None:
    async with AsyncClient(judged.url) as client:
        assert (await client.score_masked(PROMPTS, ANSWERS)).rewards[1] is None


def test_a_trainer_leaves_the_row_out_and_logs_its_share(judged: Server) -> None:
    logged: dict[str, float] = {}
    with closing(keel_reward(judged.url, on_missing="mask")) as reward:
        rewards = reward(PROMPTS, ANSWERS, user_id=PEOPLE, log_metric=logged.__setitem__)
    assert [value is None for value in rewards] == [False, True, False]
    assert (logged["keel/missing"], logged["keel/gated"]) == (pytest.approx(1 / 3), 0)


async def test_so_does_one_that_awaits(judged: Server) -> None:
    reward = keel_reward(judged.url, asynchronous=True, on_missing="mask")
    rewards = await reward(PROMPTS, ANSWERS, user_id=PEOPLE)
    await reward.close()
    assert [value is None for value in rewards] == [False, True, False]


def test_by_default_the_run_waits_and_then_fails(judged: Server) -> None:
    with (
        closing(keel_reward(judged.url, attempts=2, time_limit=5)) as reward,
        pytest.raises(Unavailable, match="source text could not read"),
    ):
        reward(PROMPTS, ANSWERS, user_id=PEOPLE)


def test_a_batch_without_any_reward_is_all_left_out(judged: Server) -> None:
    with closing(keel_reward(judged.url, on_missing="mask")) as reward:
        assert reward(["Basil?"], [BAD], user_id=["ada"]) == [None]
