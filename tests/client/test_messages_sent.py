"""Messages with blocks, calls of tools and images through the client and the reward function, over real HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest

from keel import AsyncClient, Client, keel_reward
from keel.messages import plain

pytestmark = pytest.mark.slow
PROMPT = "How do I keep basil alive indoors?"
LOOK, FOUND = "Let me look that up.", "Basil: six hours of light."
ANSWER = "Give it light, water it when the soil is dry, and pinch the tips."
IMAGE = {"type": "image", "image": object()}
SEEN = [{"role": "user", "content": [{"type": "text", "text": PROMPT}, {"type": "image"}]}]
TRAJECTORY: list[dict[str, Any]] = [
    {
        "role": "assistant",
        "content": LOOK,
        "tool_calls": [{"type": "function", "function": {"name": "search", "arguments": {"query": "basil"}}}],
    },
    {"role": "tool", "name": "search", "content": FOUND},
    {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]},
]
TRACE = f'{LOOK}\ntool call: search {{"query": "basil"}}\ntool result: {FOUND}\n{ANSWER}'


@pytest.fixture
def client(live: str) -> Iterator[Client]:
    with Client(live) as opened:
        yield opened


def test_a_trajectory_is_read_by_its_view(client: Client) -> None:
    answer, words = client.score([PROMPT] * 2, [TRAJECTORY, f"{LOOK}\n{ANSWER}"]).rewards
    trace, text = client.score([PROMPT] * 2, [TRAJECTORY, TRACE], view="trace").rewards
    assert (answer, trace) == (words, text)
    assert answer != trace
    best, other = client.rank(PROMPT, [TRAJECTORY, TRACE], view="trace").results
    assert best.score == other.score
    assert client.compare(PROMPT, TRAJECTORY, TRACE, view="trace").p_a == pytest.approx(
        client.compare(PROMPT, TRACE, TRACE).p_a
    )


def test_what_is_unread_is_named_in_replies_and_details(client: Client) -> None:
    scores = client.score([SEEN, PROMPT], [ANSWER, ANSWER], detail=True)
    assert scores.flags == (("unread_content",), ())
    assert scores.details is not None
    assert ["unread_content" in detail.flags for detail in scores.details] == [True, False]
    assert scores.rewards[0] == scores.rewards[1]
    assert client.score([PROMPT], [ANSWER]).flags is None
    assert [row.flags for row in client.rank(SEEN, [ANSWER, LOOK]).results] == [("unread_content",)] * 2
    assert client.compare(SEEN, ANSWER, LOOK).flags == ("unread_content",)
    assert client.compare(PROMPT, ANSWER, LOOK).flags is None


def test_a_trajectory_is_rated_as_it_is_read(client: Client) -> None:
    client.ask("ada")
    assert client.rate("ada", "excellent", prompt=SEEN, response=TRAJECTORY, view="trace").flags == ("unread_content",)
    assert client.export("ada")["anchors"][0]["response"] == TRACE


async def test_the_asynchronous_client_sends_the_same(live: str, client: Client) -> None:
    async with AsyncClient(live) as other:
        assert await other.score([SEEN], [TRAJECTORY], view="trace") == client.score([SEEN], [TRAJECTORY], view="trace")
        ranking = await other.rank(SEEN, [TRAJECTORY], view="trace")
        assert ranking == client.rank(SEEN, [TRAJECTORY], view="trace")
        compared = await other.compare(SEEN, TRAJECTORY, ANSWER, view="trace")
        assert compared == client.compare(SEEN, TRAJECTORY, ANSWER, view="trace")


def test_the_reward_function_sends_what_is_read_of_a_trainer_s_messages(client: Client, live: str) -> None:
    prompts = [[{"role": "user", "content": [{"type": "text", "text": PROMPT}, IMAGE], "trainer_state": object()}]]
    for view in ("answer", "trace"):
        reward = keel_reward(live, user_column=None, view=view)
        (found,) = reward(prompts, [TRAJECTORY])
        reward.close()
        assert found == client.score([PROMPT], [TRAJECTORY], view=view).rewards[0]


def test_of_a_message_is_sent_what_the_service_reads() -> None:
    call = {"type": "tool_use", "id": "c", "name": "search", "input": {"query": "basil"}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": FOUND}, IMAGE]}
    said = [{"role": "assistant", "content": [call], "id": 7}, {"role": "user", "content": [result]}]
    assert plain(said) == [
        {"role": "assistant", "content": [{"type": "tool_use", "name": "search", "input": {"query": "basil"}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "content": [{"type": "text", "text": FOUND}, {"type": "image"}]}],
        },
    ]
    assert plain([{"role": "assistant", "content": None}]) == [{"role": "assistant", "content": ""}]
