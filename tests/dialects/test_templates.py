"""Rendered chat text and back: what a template wrote is told from what people and models said."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.dialects.templates import TEMPLATES, continuation, conversation, split, without_end
from app.schemas.messages import Message
from elicitation.errors import InvalidInput

USER, ANSWER, MORE, LAST = "How do I keep basil?", "Give it light.", "And water?", "Now and then."
SYSTEM = "Be brief."
RENDERED = {
    "chatml": "<|im_start|>system\n{s}<|im_end|>\n<|im_start|>user\n{u}<|im_end|>\n<|im_start|>assistant\n{a}"
    "<|im_end|>\n<|im_start|>user\n{m}<|im_end|>\n<|im_start|>assistant\n{l}<|im_end|>\n",
    "llama3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: 26 Jul 2024\n\n{s}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{u}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{a}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{m}"
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{l}<|eot_id|>",
    "llama2": "<s>[INST] <<SYS>>\n{s}\n<</SYS>>\n\n{u} [/INST] {a} </s><s>[INST] {m} [/INST] {l} </s>",
    "mistral": "<s>[SYSTEM_PROMPT]{s}[/SYSTEM_PROMPT][INST]{u}[/INST]{a}</s>[INST]{m}[/INST]{l}</s>",
    "gemma4": "<bos><|turn>system\n{s}<turn|>\n<|turn>user\n{u}<turn|>\n<|turn>model\n{a}<turn|>\n<|turn>user\n{m}"
    "<turn|>\n<|turn>model\n{l}<turn|>\n",
    "deepseek": "<｜begin▁of▁sentence｜>{s}<｜User｜>{u}<｜Assistant｜>{a}<｜end▁of▁sentence｜><｜User｜>{m}"
    "<｜Assistant｜>{l}<｜end▁of▁sentence｜>",
    "zephyr": "<|system|>\n{s}</s>\n<|user|>\n{u}</s>\n<|assistant|>\n{a}</s>\n<|user|>\n{m}</s>\n"
    "<|assistant|>\n{l}</s>\n",
    "phi": "<|system|>{s}<|end|><|user|>{u}<|end|><|assistant|>{a}<|end|><|user|>{m}<|end|><|assistant|>{l}<|end|>",
    "tulu": "<|system|>\n{s}\n<|user|>\n{u}\n<|assistant|>\n{a}</s>\n<|user|>\n{m}\n<|assistant|>\n{l}</s>",
}
ASKED = [("system", SYSTEM), ("user", USER), ("assistant", ANSWER), ("user", MORE)]


def rendered(name: str) -> str:
    return RENDERED[name].format(s=SYSTEM, u=USER, a=ANSWER, m=MORE, l=LAST)


def turns(messages: object) -> list[tuple[str, str]]:
    assert isinstance(messages, list)
    return [(message.role, message.content) for message in messages if isinstance(message, Message)]


@pytest.mark.parametrize("name", RENDERED)
@pytest.mark.parametrize("named", [True, False], ids=["named", "found out"])
@pytest.mark.parametrize("padding", ["", "<pad>", "<|endoftext|>"])
def test_a_rendered_conversation_becomes_its_messages(name: str, named: bool, padding: str) -> None:
    prompt, response = split(padding * 3 + rendered(name) + padding * 3, name if named else None)
    assert turns(prompt) == ASKED
    assert response == LAST


def test_gemma_has_no_system_turn() -> None:
    text = "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
    prompt, response = split(text)
    assert (turns(prompt), response) == ([("user", "Hi")], "Hello")
    assert set(TEMPLATES) == {*RENDERED, "gemma"}


@pytest.mark.parametrize("name", RENDERED)
def test_a_prompt_that_waits_for_the_response_ends_with_the_users_turn(name: str) -> None:
    before, _, _ = rendered(name).rpartition(LAST)
    assert turns(conversation(before)) == ASKED
    assert turns(conversation(before.rstrip(" "))) == ASKED


@pytest.mark.parametrize("begun", ["<think>\n", "<think>\n\n</think>\n\n"])
def test_thinking_that_the_template_began_is_no_turn(begun: str) -> None:
    prompt = f"<|im_start|>user\n{USER}<|im_end|>\n<|im_start|>assistant\n{begun}"
    assert turns(conversation(prompt)) == [("user", USER)]


@pytest.mark.parametrize(
    "default",
    [
        "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    ],
)
def test_a_system_prompt_that_the_template_wrote_itself_is_taken_off(default: str) -> None:
    prompt = f"<|im_start|>system\n{default}<|im_end|>\n<|im_start|>user\n{USER}<|im_end|>\n<|im_start|>assistant\n"
    assert turns(conversation(prompt)) == [("user", USER)]


@pytest.mark.parametrize("prompt", [USER, "What does [INST] mean?", "a <|im_start|>user\nb", ""])
def test_a_prompt_that_is_not_rendered_stays_as_it_is(prompt: str) -> None:
    assert conversation(prompt) == prompt
    assert conversation(rendered("chatml"), "plain") == rendered("chatml")


def test_a_pattern_of_ones_own_divides_one_string() -> None:
    pattern = "Human: {prompt}\nAssistant: {response}"
    assert split(f"<s>Human: {USER}\nAssistant: {ANSWER}</s>", pattern) == (USER, ANSWER)
    with pytest.raises(InvalidInput, match="does not fit"):
        split(f"{USER} {ANSWER}", pattern)


@pytest.mark.parametrize(
    ("text", "template", "message"),
    [
        ("just text", None, "no chat template that Keel knows"),
        ("just text", "chatml", "no turn"),
        (rendered("chatml"), "vicuna", "'vicuna' is unknown"),
        (rendered("chatml"), "plain", "tells them apart"),
        ("<|im_start|>user\nhi<|im_end|>\n", None, "the last turn is the user's"),
        ("<|im_start|>robot\nhi<|im_end|>\n", None, "role 'robot'"),
        ("<|im_start|>tool\nhi<|im_end|>\n", None, "the last turn is the tool's"),
        ("<|im_start|>assistant\nhi<|im_end|>\n", None, "no turn before the response"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(text: str, template: str | None, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        split(text, template)


PROMPT = "<|im_start|>user\nHow do I keep basil alive on a dark kitchen shelf?<|im_end|>\n<|im_start|>assistant\n"


@given(
    st.text(max_size=60), st.sampled_from(["", "<|im_end|>", "<|im_end|><|endoftext|>", "<|im_end|>\n<pad> <pad>\n"])
)
def test_the_response_is_the_query_without_its_prompt_and_end(text: str, end: str) -> None:
    expected = without_end(text)
    assert continuation(PROMPT + text + end, PROMPT) == expected
    assert continuation("<s>" + PROMPT + text + end, PROMPT) == expected
    assert continuation(PROMPT + text + end, "<|endoftext|>" + PROMPT) == expected
    if not end:
        assert text.startswith(expected)


def test_a_prompt_that_the_trainer_cut_on_its_left_is_still_found() -> None:
    query = PROMPT[30:] + ANSWER + "<|im_end|>"
    assert continuation(query, PROMPT) == ANSWER
    assert continuation("<s>" + query, PROMPT) == ANSWER


@pytest.mark.parametrize("query", ["", ANSWER, PROMPT[:40], "x" + PROMPT + ANSWER, PROMPT[-10:] + ANSWER])
def test_a_query_without_its_prompt_is_refused(query: str) -> None:
    with pytest.raises(InvalidInput, match="does not begin with its prompt"):
        continuation(query, PROMPT)


def test_hostile_texts_take_no_time() -> None:
    n = 100_000
    started = time.perf_counter()
    for text in ("</s> " * (n // 5) + "x", "a" * n, " " * n + "x", "[INST]" * (n // 6), "<s>" * (n // 3)):
        without_end(text)
        with contextlib.suppress(InvalidInput):
            conversation(text)
        for query, prompt in ((text + "b", text + "a"), (text, text[1:])):
            try:
                continuation(query, prompt)
            except InvalidInput:
                continue
    assert time.perf_counter() - started < 5
