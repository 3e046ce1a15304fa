"""Adapters, called as their frameworks call them, against a real server: all give the reward of the native route."""

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from keel import Client
from keel.adapters import verl
from keel.adapters.its_hub import OutcomeRewardModel
from keel.adapters.openrlhf import LocalFunction
from keel.adapters.rewardbench import KeelPipeline
from keel.adapters.search_and_learn import KeelPRM
from keel.adapters.swift import register
from keel.best_of_n import pick

pytestmark = pytest.mark.slow
PROMPT, ANSWERS = "Basil?", ["Water it when the soil is dry.", "A diva, that basil! Sun, water, scissors."]


@pytest.fixture
def client(live: str) -> Iterator[Client]:
    with Client(live) as opened:
        question = opened.ask("ada", rule="dopt", seed=1)
        assert question is not None
        opened.tell("ada", question.question_id, "left", strength="clear")
        yield opened


@pytest.fixture
def rewards(client: Client) -> list[float]:
    """Ada's reward of both answers by the native route."""
    return list(client.score([PROMPT] * 2, ANSWERS, user_id="ada").rewards)


def conversation(answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}]


def test_verl_gets_one_number_per_sample_and_the_floor_for_a_gated_one(live: str, rewards: list[float]) -> None:
    extra = {"user_id": "ada", "prompt": PROMPT, "index": 3}
    scored = verl.compute_score("source", ANSWERS[0], None, extra, base_url=live)
    assert (scored["score"], scored["gated"]) == (pytest.approx(rewards[0]), 0.0)
    empty = verl.compute_score("source", "", None, extra, base_url=live)
    assert empty["gated"] == 1.0
    assert empty["score"] < min(rewards)
    assert empty.keys() == scored.keys(), "verl makes one array of each key"
    for score in (scored, empty):
        assert sum(value for name, value in score.items() if name.startswith("keel_")) == pytest.approx(score["score"])
    verl._reward(verl._key({"base_url": live})).close()


async def test_verl_may_await_it(live: str, rewards: list[float]) -> None:
    extra = {"user_id": "ada", "prompt": [{"role": "user", "content": PROMPT}]}
    assert (await verl.compute_score_async("source", ANSWERS[1], None, extra, base_url=live))["score"] == pytest.approx(
        rewards[1]
    )
    await verl._async_reward(verl._key({"base_url": live})).close()


def test_openrlhf_gets_tensors_for_templated_text(live: str, rewards: list[float]) -> None:
    prompt = f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n"
    queries = [f"{prompt}{answer}<|im_end|>" for answer in ANSWERS]
    function = LocalFunction(live)
    reply = function(queries, [prompt] * 2, [{"user_id": "ada"}] * 2, step=1)
    torch.testing.assert_close(reply["rewards"], torch.tensor(rewards))
    assert bool(((reply["scores"] > 0) & (reply["scores"] < 1)).all())
    assert all(len(values) == 2 for values in reply["extra_logs"].values())
    shares = [values for name, values in reply["extra_logs"].items() if name != "keel_score"]
    torch.testing.assert_close(torch.stack(shares).sum(0), torch.tensor(rewards))
    function.close()


def test_ms_swift_finds_the_plugin_under_its_name(
    live: str, rewards: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # ms-swift is too large to install for this; its plugin interface is a base class and a registry.
    interface: Any = types.ModuleType("swift.rewards")
    interface.ORM, interface.orms = type("ORM", (), {"__init__": lambda self, args=None, **kwargs: None}), {}
    monkeypatch.setitem(sys.modules, "swift", types.ModuleType("swift"))
    monkeypatch.setitem(sys.modules, "swift.rewards", interface)
    register("taste", base_url=live)
    function = interface.orms["taste"](args=None)
    messages = [conversation(answer) for answer in ANSWERS]
    columns = {"messages": messages, "user_id": ["ada"] * 2, "trainer_state": None, "solution": ["", ""]}
    assert function(ANSWERS, **columns) == pytest.approx(rewards)
    function._reward.close()


async def test_its_hub_scores_one_conversation_or_many(live: str, rewards: list[float]) -> None:
    model = OutcomeRewardModel(live, user_id="ada")
    many = [conversation(answer) for answer in ANSWERS]
    assert model.score(many) == pytest.approx(rewards)
    assert model.score(many[0]) == pytest.approx(rewards[0])
    assert await model.ascore(many) == pytest.approx(rewards)
    model.close()


def test_search_and_learn_gets_one_step_score_per_output(live: str, client: Client) -> None:
    prm = KeelPRM(live, user_id="ada")
    scores = client.score([PROMPT] * 2 + ["Mint?"], [*ANSWERS, ANSWERS[0]], user_id="ada").scores
    assert prm.score([PROMPT, "Mint?"], [ANSWERS, ANSWERS[:1]]) == [[[scores[0]], [scores[1]]], [[scores[2]]]]
    prm.close()


def test_rewardbench_gets_scores_in_dicts(live: str, rewards: list[float]) -> None:
    pipeline = KeelPipeline(live, user_id="ada")
    samples = [conversation(answer) for answer in ANSWERS]
    assert [result["score"] for result in pipeline(samples, batch_size=8, truncation=True)] == pytest.approx(rewards)
    with pytest.raises(ValueError, match="assistant's reply"):
        pipeline([conversation(ANSWERS[0])[:1]])
    pipeline.close()


def test_the_best_and_worst_candidate_become_training_rows(client: Client, rewards: list[float]) -> None:
    chosen = pick(client, PROMPT, [*ANSWERS, ""], user_id="ada")
    assert chosen is not None
    best, worst = sorted(range(2), key=lambda i: -rewards[i])
    assert (chosen.best, chosen.worst) == (ANSWERS[best], ANSWERS[worst])
    assert chosen.margin == pytest.approx(rewards[best] - rewards[worst])
    assert chosen.completion()["completion"] == [{"role": "assistant", "content": ANSWERS[best]}]
    assert chosen.preference()["rejected"] == [{"role": "assistant", "content": ANSWERS[worst]}]
    assert chosen.preference()["prompt"] == [{"role": "user", "content": PROMPT}]
    assert pick(client, PROMPT, [ANSWERS[0], ""], user_id="ada") is None
