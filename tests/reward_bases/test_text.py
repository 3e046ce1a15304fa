"""Conversations keep what was said, and their digest tells them apart."""

import pytest

from elicitation.errors import InvalidInput
from reward_bases.text import Conversation


def test_a_plain_prompt_is_one_user_turn() -> None:
    assert Conversation.of("Hi").messages[0].role == "user"
    assert Conversation.of("Hi").digest == Conversation.of([{"role": "user", "content": "Hi"}]).digest


def test_roles_and_order_change_the_digest() -> None:
    turns = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}]
    assert Conversation.of(turns).digest != Conversation.of("Hi").digest
    assert Conversation.of(turns).digest != Conversation.of(turns[::-1]).digest


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([{"role": "robot", "content": "Hi"}], "role 'robot' is not one of system, developer, user, assistant, tool"),
        ([{"role": "assistant", "content": "Hi"}], "1 messages hold no user turn"),
        ([], "0 messages hold no user turn"),
    ],
)
def test_an_unusable_conversation_is_refused_with_the_reason(turns: list[dict[str, str]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Conversation.of(turns)


def test_a_conversation_as_one_text_says_who_spoke_unless_it_is_one_turn() -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Go"},
    ]
    assert Conversation.of(turns).plain == "user: Hi\nassistant: Yes?\nuser: Go"
    assert Conversation.of("Hi").plain == "Hi"


def test_the_window_keeps_the_last_question_whole_then_the_system_prompt_then_the_newest_turns() -> None:
    turns = [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "old question"},
        {"role": "assistant", "content": "old answer"},
        {"role": "user", "content": "new question"},
    ]
    conversation = Conversation.of(turns)
    assert conversation.window(1000) == "new question\nBe kind\nold answer\nold question"
    assert conversation.window(len("new question") + len("Be kind") + 1) == "new question\nBe kind"
    assert conversation.window(3) == "new question"
