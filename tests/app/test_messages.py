"""Chats with tools, content blocks and what is no text, on every native route; messages of the real OpenAI package."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.chat import ChatCompletionMessage
from openai.types.responses import ResponseOutputMessage

PAGE = Path(__file__).parents[2] / "docs/reading.md"
PROMPT = "How do I keep basil alive indoors?"
ANSWER = "Give it light, water it when the soil is dry, and pinch the tips."
LOOK = "Let me look that up in the handbook of plants."
FOUND = "Basil: six hours of light a day."
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
ASKED = {"role": "user", "content": PROMPT}
Json = Mapping[str, Any]


def called(content: str | None = LOOK) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"query": "basil"}'}}
    return ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": content, "tool_calls": [call]}
    ).model_dump()


def said(text: str = ANSWER) -> dict[str, Any]:
    return ChatCompletionMessage(role="assistant", content=text).model_dump()


def output(*texts: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    message = {"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": parts}
    return ResponseOutputMessage.model_validate(message).model_dump()


TRAJECTORY = [called(), {"role": "tool", "tool_call_id": "c1", "content": FOUND}, said()]
ANTHROPIC = [
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "text", "text": LOOK},
            {"type": "tool_use", "id": "t1", "name": "search", "input": {"query": "basil"}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": FOUND}]},
    {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]},
]
TRACE = f'{LOOK}\ntool call: search {{"query": "basil"}}\ntool result: {FOUND}\n{ANSWER}'


async def rewards(http: httpx.AsyncClient, *rows: tuple[object, object], **body: Any) -> list[float]:
    return list((await scored(http, *rows, **body))["rewards"])


async def scored(http: httpx.AsyncClient, *rows: tuple[object, object], **body: Any) -> dict[str, Any]:
    prompts, completions = zip(*rows, strict=True)
    response = await http.post("/v1/score", json={"prompts": prompts, "completions": completions} | body)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": PROMPT}],
        [{"type": "input_text", "text": PROMPT}],
        [{"type": "text", "text": PROMPT, "cache_control": {"type": "ephemeral"}}],
        PROMPT,
    ],
)
async def test_a_prompt_of_blocks_is_its_text(http: httpx.AsyncClient, content: object) -> None:
    plain, blocks = await rewards(http, (PROMPT, ANSWER), ([{"role": "user", "content": content}], ANSWER))
    assert plain == blocks


@pytest.mark.parametrize(
    "completion",
    [
        [said()],
        [output(ANSWER)],
        [output(ANSWER[:20], ANSWER[20:])],
        [{"role": "assistant", "content": ANSWER, "reasoning_content": "Hm."}],
        [{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": ANSWER}]}],
        [{"role": "assistant", "content": None, "refusal": ANSWER}],
    ],
)
async def test_a_completion_of_messages_is_what_the_person_is_shown(
    http: httpx.AsyncClient, completion: object
) -> None:
    plain, messages = await rewards(http, (PROMPT, ANSWER), (PROMPT, completion))
    assert plain == messages


async def test_a_developer_speaks_as_the_system(http: httpx.AsyncClient) -> None:
    prompts = [[{"role": role, "content": "Answer briefly."}, ASKED] for role in ("system", "developer")]
    system, developer = await rewards(http, *((prompt, ANSWER) for prompt in prompts))
    assert system == developer


async def test_a_conversation_with_tools_is_context(http: httpx.AsyncClient) -> None:
    chats = [[ASKED], [ASKED, *TRAJECTORY[:2]], [ASKED, *ANTHROPIC[:2]]]
    alone, chat, blocks = await rewards(http, *((chat, ANSWER) for chat in chats))
    assert chat == blocks != alone


@pytest.mark.parametrize("trajectory", [TRAJECTORY, ANTHROPIC])
async def test_a_trace_is_all_of_a_trajectory_as_one_text(http: httpx.AsyncClient, trajectory: object) -> None:
    trace, plain = await rewards(http, (PROMPT, trajectory), (PROMPT, TRACE), view="trace")
    assert trace == plain


async def test_the_answer_of_a_trajectory_by_the_first_rule_is_all_that_the_assistant_said(
    http: httpx.AsyncClient,
) -> None:
    answer, explicit, plain = [
        (await rewards(http, row, **view))[0]
        for row, view in (
            ((PROMPT, TRAJECTORY), {}),
            ((PROMPT, TRAJECTORY), {"view": "answer"}),
            ((PROMPT, f"{LOOK}\n{ANSWER}"), {}),
        )
    ]
    assert answer == explicit == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        ([{"role": "user", "content": [{"type": "text", "text": PROMPT}, IMAGE]}], ANSWER),
        (PROMPT, [{"role": "assistant", "content": [{"type": "text", "text": ANSWER}, {"type": "image"}]}]),
        (PROMPT, [said() | {"audio": {"id": "a1", "data": "AAAA", "expires_at": 1, "transcript": "Hm"}}]),
        (
            PROMPT,
            [
                called(),
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}],
                },
                said(),
            ],
        ),
    ],
)
async def test_what_is_no_text_is_named_as_unread(http: httpx.AsyncClient, prompt: object, completion: object) -> None:
    rows = (PROMPT, ANSWER), (prompt, completion)
    reply = await scored(http, *rows, detail=True)
    assert reply["flags"] == [[], ["unread_content"]]
    assert ["unread_content" in detail["flags"] for detail in reply["details"]] == [False, True]
    assert (await scored(http, *rows))["flags"] == reply["flags"]
    assert (await http.post("/v1/compare", json={"prompt": prompt, "a": completion, "b": ANSWER})).json()["flags"] == [
        "unread_content"
    ]
    ranking = (await http.post("/v1/rank", json={"prompt": prompt, "candidates": [ANSWER, completion]})).json()
    flagged = {row["index"]: row.get("flags") for row in ranking["results"]}
    assert flagged[1] == ["unread_content"]
    assert flagged[0] == (["unread_content"] if prompt != PROMPT else None)


async def test_an_unread_baseline_is_named_too(http: httpx.AsyncClient) -> None:
    seen = [
        {"role": "assistant", "content": [{"type": "text", "text": "It depends on your window."}, {"type": "image"}]}
    ]
    assert (await scored(http, (PROMPT, ANSWER), baseline=[seen]))["flags"] == [["unread_content"]]


async def test_replies_to_texts_have_no_flags(http: httpx.AsyncClient) -> None:
    assert "flags" not in await scored(http, (PROMPT, ANSWER))
    assert "flags" not in (await http.post("/v1/compare", json={"prompt": PROMPT, "a": ANSWER, "b": LOOK})).json()
    ranking = (await http.post("/v1/rank", json={"prompt": PROMPT, "candidates": [ANSWER, LOOK]})).json()
    assert all("flags" not in row for row in ranking["results"])


async def test_an_answer_that_is_an_image_alone_is_empty(http: httpx.AsyncClient) -> None:
    (detail,) = (await scored(http, (PROMPT, [{"role": "assistant", "content": [IMAGE]}]), detail=True))["details"]
    assert (detail["gate"]["reasons"], detail["flags"]) == (["empty"], ["unread_content"])


async def test_trajectories_can_be_rated_and_appealed(http: httpx.AsyncClient) -> None:
    await http.post("/v1/users/ada/questions")
    body = {"prompt": [ASKED], "response": TRAJECTORY, "level": "excellent", "view": "trace"}
    assert (await http.post("/v1/users/ada/anchors", json=body)).status_code == 201
    seen = body | {"response": [{"role": "assistant", "content": [{"type": "text", "text": ANSWER}, IMAGE]}]}
    assert (await http.post("/v1/users/ada/anchors", json=seen)).json()["flags"] == ["unread_content"]
    (first, _) = (await http.get("/v1/users/ada/export")).json()["anchors"]
    assert first["response"] == TRACE
    appealed = await http.post("/v1/appeals", json={"prompt": [ASKED], "response": [called("")]})
    assert appealed.json()["response"] == ""


async def test_the_example_of_the_page_on_reading_gets_a_reward_and_its_flag(http: httpx.AsyncClient) -> None:
    (body,) = re.findall(r"-d '(.*?)'", PAGE.read_text(encoding="utf-8"), re.S)
    reply = (await http.post("/v1/score", json=json.loads(body))).json()
    assert (len(reply["rewards"]), reply["flags"]) == (1, [["unread_content"]])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"completions": [[ASKED]]}, "a completion holds a message of role 'user'"),
        ({"completions": [[{"role": "system", "content": "a"}]]}, "a completion holds a message of role 'system'"),
        ({"prompts": [[{"role": "user", "content": [IMAGE]}]]}, "a prompt is empty"),
        ({"prompts": [[{"role": "tool", "content": "a"}]]}, "hold no user turn"),
        ({"prompts": [[{"role": "user", "content": [{"type": "tool_result", "content": "a"}]}]]}, "hold no user turn"),
        ({"prompts": [[{"role": "user", "content": [{"type": "hologram"}]}]]}, "'hologram'"),
        ({"prompts": [[ASKED | {"tool_calls": []}]]}, "only 'assistant' has them"),
        ({"prompts": [[ASKED | {"feeling": "good"}]]}, "feeling"),
        ({"view": "thoughts"}, "'answer' or 'trace'"),
        ({"completions": [[{"role": "assistant", "content": [{"type": "text"}]}]]}, "text"),
        (
            {"completions": [[{"role": "assistant", "content": [{"type": "text", "text": "a"}] * 201}]]},
            "201 blocks or calls in one message > limit 200",
        ),
        ({"completions": [[said()] * 201]}, "201 messages in one response > limit 200"),
        ({"completions": [[said("a" * 60_000)] * 2], "view": "trace"}, "120001 characters in one response"),
        ({"prompts": [[ASKED, called("a" * 100_000)]]}, "characters in one prompt > limit 100000"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_the_reason(http: httpx.AsyncClient, body: Json, told: str) -> None:
    response = await http.post("/v1/score", json={"prompts": [PROMPT], "completions": [ANSWER], **body})
    assert (response.status_code, told in response.text) == (422, True), response.text


@pytest.mark.parametrize("half", [{"query": "\ud800"}, {"\udfff": 1}])
async def test_half_a_character_in_a_call_is_refused(http: httpx.AsyncClient, half: Json) -> None:
    message = {"role": "assistant", "content": [{"type": "tool_use", "name": "search", "input": half}]}
    body = json.dumps({"prompts": [PROMPT], "completions": [[message]]})
    response = await http.post("/v1/score", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, "half a character" in response.text) == (422, True)
