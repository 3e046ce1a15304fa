"""The same prompt and response are worth the same through every door."""

import math
from typing import Any

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from senders import SENDERS, Turns, messages

from app.http.dialects.templates import TOKENS


def padded(text: str) -> bool:
    """Whether a text begins or ends as only padding does: doors that take rendered text leave it out."""
    return text.strip().startswith(TOKENS) or text.strip().endswith(TOKENS)


TOKEN = st.sampled_from(["<|im_start|>user\n", "<|endoftext|>", "</s>", "[INST]", "<bos>", "<|eot_id|>", "{prompt}"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40)
PLAIN = st.one_of(
    WORDS,
    st.sampled_from(["Give it light and water.", "Ça va? Naïve café — 你好，世界！", "1. a\n2. b\n\n👩‍👩‍👧 ok", "٤٢"]),
).filter(lambda text: text.strip() and not padded(text))
RESPONSE = st.one_of(
    PLAIN,
    st.tuples(PLAIN, TOKEN, PLAIN).map("".join),
    st.just(""),
    PLAIN.map(lambda text: f"  {text}\n"),
)
HISTORY = st.one_of(
    st.just(()),
    st.just((("system", "Be brief."),)),
    st.tuples(PLAIN, PLAIN).map(lambda said: (("user", said[0]), ("assistant", said[1]))),
)


def native(service: httpx.Client, turns: Turns, response: str, **body: Any) -> tuple[float, float]:
    """Reward in nats and score in 0–1."""
    prompt = turns[0][1] if len(turns) == 1 else messages(turns)
    reply = service.post("/v1/score", json={"prompts": [prompt], "completions": [response], **body})
    assert reply.status_code == 200, reply.text
    return reply.json()["rewards"][0], reply.json()["scores"][0]


@pytest.mark.slow
@pytest.mark.parametrize("door", SENDERS)
@settings(max_examples=12, derandomize=True)
@given(history=HISTORY, prompt=PLAIN, response=RESPONSE)
def test_every_door_gives_the_native_reward(
    service: httpx.Client, door: str, history: Turns, prompt: str, response: str
) -> None:
    sender = SENDERS[door]
    assume(sender.bounded or "<|im_start|>" not in response)
    turns = [*(history if sender.turns else ()), ("user", prompt)]
    reply = service.post(sender.path, json=sender.body(turns, response), headers={"X-User-Id": "ada"})
    assert reply.status_code == 200, reply.text
    reward, score = native(service, turns, response, user_id="ada")
    number = sender.read(reply.json())
    assert math.isfinite(number)
    assert number == pytest.approx(reward if sender.raw else score, abs=1e-6)


@pytest.mark.parametrize("door", SENDERS)
def test_a_person_gets_their_own_reward_and_nobody_the_aggregates(service: httpx.Client, door: str) -> None:
    sender, turns, response = SENDERS[door], [("user", "How do I keep basil?")], "1. Light.\n2. Water, now and then!"
    own = service.post(f"/u/ada{sender.path}", json=sender.body(turns, response))
    common = service.post(sender.path, json=sender.body(turns, response))
    expected = native(service, turns, response, user_id="ada"), native(service, turns, response)
    assert expected[0] != expected[1]
    for reply, (reward, score) in zip((own, common), expected, strict=True):
        assert sender.read(reply.json()) == pytest.approx(reward if sender.raw else score, abs=1e-6)


@pytest.mark.parametrize("door", SENDERS)
def test_no_reply_holds_a_null(service: httpx.Client, door: str) -> None:
    sender = SENDERS[door]
    for response in ("Give it light.", ""):
        text = service.post(sender.path, json=sender.body([("user", "Basil?")], response)).text
        assert not {"null", "NaN", "Infinity"} & set(text.replace("}", ",").replace(":", ",").split(",")), text


def test_a_response_with_a_token_inside_is_rejected_by_the_gate_through_every_door(service: httpx.Client) -> None:
    turns = [("user", "Basil?")]
    floor, _ = native(service, turns, "")
    for token in ("<|im_end|>", "<|eot_id|>"):
        assert token in TOKENS
        for sender in SENDERS.values():
            reply = service.post(sender.path, json=sender.body(turns, f"Light {token} and water"))
            assert not sender.raw or sender.read(reply.json()) == pytest.approx(floor, abs=1e-6)
