"""Rewards taken apart: named components of every row, which sum to the reward, for the requests of one reward."""

import asyncio
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import keel
from keel import Client, ComponentReward, VectorReward, keel_reward
from tests.client.servers import Server

pytestmark = pytest.mark.slow
PROMPTS = ["Basil?", "Basil?", "Mint?", "Mint?"]
ANSWERS = ["Water it when the soil is dry.", "A diva, that basil! Sun, water, scissors.", "In a pot, mint spreads.", ""]
PEOPLE = ["ada", "ada", "bob", "bob"]
HEADS = {"quality", "brevity"}


@pytest.fixture
def rewards(server: Server) -> list[float]:
    """Each row's reward by the native route; the gate rejects the last."""
    with Client(server.url) as client:
        return list(client.score(PROMPTS, ANSWERS, user_ids=PEOPLE).rewards)


@pytest.fixture
def reward(server: Server) -> Iterator[VectorReward]:
    function = keel_reward(server.url, vector=True)
    yield function
    function.close()


def scored(server: Server) -> int:
    """How many requests for scores the server has answered."""
    return sum(path == "/v1/score" for path in server.paths)


def test_a_row_has_a_number_for_every_name_and_sums_to_the_reward(
    server: Server, reward: VectorReward, rewards: list[float]
) -> None:
    rows = reward(PROMPTS, ANSWERS, user_id=PEOPLE)
    assert set(reward.names) > HEADS
    assert reward.names[-1] == "gate"
    assert rows[3] is None
    for row, whole in zip(rows[:3], rewards, strict=False):
        assert row is not None
        assert len(row) == len(reward.names)
        assert sum(row) == pytest.approx(whole, abs=1e-12)
    assert rows[0] != rows[1]


def test_all_components_of_a_batch_take_one_request(server: Server, reward: VectorReward) -> None:
    reward(PROMPTS, ANSWERS, user_id=PEOPLE)
    assert scored(server) == 1


def test_a_row_that_the_gate_rejects_is_the_gate_s_alone_where_the_floor_is_asked_for(
    server: Server, rewards: list[float]
) -> None:
    reward = keel_reward(server.url, vector=True, gated="floor")
    last = reward(PROMPTS, ANSWERS, user_id=PEOPLE)[3]
    assert last == [0.0] * (len(reward.names) - 1) + [rewards[3]]
    reward.close()


def test_components_are_the_person_s_own_and_mix_as_rewards_do(server: Server, reward: VectorReward) -> None:
    ada, bob = (reward(PROMPTS[:1], ANSWERS[:1], user_id=[name])[0] for name in ("ada", "bob"))
    assert ada != bob
    mixed, common = (keel_reward(server.url, vector=True, mix=mix) for mix in (0.25, 1.0))
    everybody, quarter = (one(PROMPTS[:1], ANSWERS[:1], user_id=["ada"])[0] for one in (common, mixed))
    assert ada is not None
    assert everybody is not None
    assert quarter == pytest.approx([0.75 * a + 0.25 * b for a, b in zip(ada, everybody, strict=True)])
    mixed.close()
    common.close()


async def test_the_asynchronous_function_gives_the_same(server: Server, reward: VectorReward) -> None:
    plain = await asyncio.to_thread(reward, PROMPTS, ANSWERS, user_id=PEOPLE)
    awaited = keel_reward(server.url, vector=True, asynchronous=True)
    assert await awaited(PROMPTS, ANSWERS, user_id=PEOPLE) == plain
    assert awaited.names == reward.names
    await awaited.close()


def test_functions_give_the_columns_for_one_request_one_after_another(server: Server, reward: VectorReward) -> None:
    rows = reward(PROMPTS, ANSWERS, user_id=PEOPLE)
    functions = reward.functions()
    assert [function.__name__ for function in functions] == [f"keel_{name}" for name in reward.names]
    asked = scored(server)
    columns = [function(PROMPTS, ANSWERS, user_id=PEOPLE) for function in functions]
    assert scored(server) == asked + 1
    assert columns == [[None if row is None else row[place] for row in rows] for place in range(len(reward.names))]


def test_functions_share_one_request_from_threads_too(server: Server, reward: VectorReward) -> None:
    functions = reward.functions()

    def first(function: ComponentReward) -> float | None:
        return function(PROMPTS, ANSWERS, user_id=PEOPLE)[0]

    with ThreadPoolExecutor(len(functions)) as pool:
        shares = list(pool.map(first, functions))
    assert scored(server) == 1
    assert shares == (reward(PROMPTS, ANSWERS, user_id=PEOPLE)[0])


def test_a_function_that_asks_again_scores_again(server: Server, reward: VectorReward) -> None:
    functions = reward.functions()
    for function in functions:
        function(PROMPTS, ANSWERS, user_id=PEOPLE)
    with Client(server.url) as client:
        client.forget("bob")
    with pytest.raises(keel.NotFound, match="bob"):
        functions[0](PROMPTS, ANSWERS, user_id=PEOPLE)


def test_other_rows_are_other_requests(server: Server, reward: VectorReward) -> None:
    first, second = reward.functions()[:2]
    first(PROMPTS, ANSWERS, user_id=PEOPLE)
    swapped = second(PROMPTS, ANSWERS, user_id=PEOPLE[::-1])
    assert scored(server) == 2
    assert swapped == [row and row[1] for row in reward(PROMPTS, ANSWERS, user_id=PEOPLE[::-1])]


def test_pickled_functions_give_the_same_and_still_share(server: Server, reward: VectorReward) -> None:
    functions = reward.functions()
    columns = [function(PROMPTS, ANSWERS, user_id=PEOPLE) for function in functions]
    asked = scored(server)
    copies: list[ComponentReward] = pickle.loads(pickle.dumps(functions))
    assert [copy(PROMPTS, ANSWERS, user_id=PEOPLE) for copy in copies] == columns
    assert scored(server) == asked + 1
    copies[0].close()


def test_names_pin_the_basis(server: Server) -> None:
    reward = keel_reward(server.url, vector=True)
    assert reward.basis_version is None
    assert reward.names
    assert reward.basis_version == "basis-1"
    reward.close()


@pytest.mark.parametrize("shape", [{"normalize": "group"}, {"normalize": "reference"}, {"bounded": True}])
def test_components_take_no_shape(shape: dict[str, str | bool]) -> None:
    with pytest.raises(ValueError, match="leave out normalize and bounded"):
        keel_reward(vector=True, **shape)
