"""Payloads as trainers send them, field by field, and the replies that they read."""

from typing import Any

import httpx
import pytest

PROMPT, ANSWER = "How do I keep basil alive indoors?", "1. Light: six hours.\n2. Water: when the top is dry."
CHATML = f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n"
MISTRAL = f"<s>[INST] {PROMPT} [/INST] {ANSWER}</s>"

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
ATTACHED = [{"role": "user", "content": [{"type": "input_text", "text": PROMPT}, {"type": "input_file"}]}]
SEEN = [{"role": "user", "content": [{"type": "text", "text": PROMPT}, IMAGE]}]


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def posted(service: httpx.Client, path: str, body: Any) -> Any:
    reply = service.post(path, json=body)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


@pytest.fixture
def reward(service: httpx.Client) -> float:
    body = {"prompts": [PROMPT], "completions": [ANSWER], "user_id": "ada"}
    value: float = posted(service, "/v1/score", body)["rewards"][0]
    return value


def test_openrlhf_0_11_sends_one_decoded_query_and_reads_numbers(service: httpx.Client, reward: float) -> None:
    body = {"query": [f"{CHATML}{ANSWER}<|im_end|>"], "prompts": [CHATML], "labels": [{"user_id": "ada"}]}
    reply = posted(service, "/get_reward", body)
    assert reply["rewards"] == [pytest.approx(reward, abs=1e-9)]
    assert 0 < reply["scores"][0] < 1
    assert all(len(values) == 1 for values in reply["extra_logs"].values())


def test_openrlhf_sends_an_empty_list_to_an_address_too_many(service: httpx.Client) -> None:
    for body in ({"query": [], "prompts": [], "labels": []}, {"query": []}):
        reply = posted(service, "/get_reward", body)
        assert reply == {"rewards": [], "scores": [], "extra_logs": {"keel_score": []}}


def test_openrlhf_logs_every_component_of_the_reward(service: httpx.Client, reward: float) -> None:
    body = {"query": [f"{CHATML}{ANSWER}<|im_end|>", CHATML], "prompts": [CHATML] * 2, "user": "ada"}
    reply = posted(service, "/get_reward", body)
    names = [f"keel_{name}" for name in service.get("/info").json()["components"]]
    assert list(reply["extra_logs"]) == ["keel_score", *names]
    rows = zip(*(reply["extra_logs"][name] for name in names), strict=True)
    assert [sum(row) for row in rows] == pytest.approx(reply["rewards"], abs=1e-12)
    assert reply["rewards"][0] == pytest.approx(reward, abs=1e-9)


def test_older_openrlhf_sends_big_batches(service: httpx.Client, reward: float) -> None:
    body = {
        "query": [f"{CHATML}{ANSWER}<|im_end|>"] * 40,
        "prompts": [CHATML] * 40,
        "labels": [{"user_id": "ada"}] * 40,
    }
    assert posted(service, "/get_reward", body)["rewards"] == pytest.approx([reward] * 40, abs=1e-9)


def test_verl_sends_one_rendered_conversation_to_vllms_classify(service: httpx.Client, reward: float) -> None:
    body = {"model": "keel/ada", "input": f"{CHATML}{ANSWER}<|im_end|>\n", "use_activation": False}
    assert posted(service, "/classify", body)["data"][-1]["probs"][-1] == pytest.approx(reward, abs=1e-9)


def test_verl_sends_one_rendered_conversation_to_embeddings(service: httpx.Client, reward: float) -> None:
    body = {"model": "keel/ada", "input": f"{CHATML}{ANSWER}<|im_end|>\n"}
    assert posted(service, "/v1/embeddings", body)["data"][-1]["embedding"][-1] == pytest.approx(reward, abs=1e-9)


def test_slime_reads_the_bare_reply_as_the_reward(service: httpx.Client, reward: float) -> None:
    body = {"prompt": CHATML, "response": ANSWER, "label": {"user_id": "ada"}}
    assert posted(service, "/rm", body) == pytest.approx(reward, abs=1e-9)


def test_llama_factory_decodes_with_padding_and_names_the_person_in_the_url(
    service: httpx.Client, reward: float
) -> None:
    texts = [f"</s></s>{MISTRAL}", f"{MISTRAL}</s></s>"]
    reply = posted(service, "/u/ada/v1/score/evaluation", {"model": "model", "messages": texts})
    assert reply["scores"] == pytest.approx([reward] * 2, abs=1e-9)


def nemo_gym(text: str) -> dict[str, Any]:
    return {
        "responses_create_params": {
            "input": [{"role": "user", "content": [{"type": "input_text", "text": PROMPT}], "type": "message"}],
            "temperature": 0.7,
            "tools": [],
        },
        "response": {
            "id": "resp_5c0",
            "object": "response",
            "output": [
                {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "function_call", "name": "look_up", "arguments": "{}", "call_id": "c"},
                {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": text, "annotations": []}],
                },
            ],
            "usage": {"input_tokens": 9},
        },
        "user_id": "ada",
        "verifier_metadata": {"row": 3},
    }


def test_nemo_gym_gets_its_request_back_with_the_reward_and_its_shares(service: httpx.Client, reward: float) -> None:
    sent = nemo_gym(ANSWER)
    reply = posted(service, "/verify", sent)
    assert {name: reply[name] for name in sent} == sent
    assert reply["reward"] == pytest.approx(reward, abs=1e-9)
    assert sum(reply["reward_components"].values()) == pytest.approx(reward, abs=1e-9)
    assert reply["mask_sample"] is False
    assert "failure_reason" not in reply


def test_nemo_gym_hears_why_a_response_was_rejected_with_the_same_components(service: httpx.Client) -> None:
    good, bad = (posted(service, "/verify", nemo_gym(text)) for text in (ANSWER, "Solution:"))
    assert bad["failure_reason"] == "gate: trivial"
    assert bad["reward_components"].keys() == good["reward_components"].keys()
    assert bad["reward_components"]["gate"] == bad["reward"]
    assert bad["reward"] < good["reward"]


def test_nemo_gym_instructions_are_the_system_prompt(service: httpx.Client) -> None:
    body = nemo_gym(ANSWER)
    body["responses_create_params"] |= {"instructions": "Be brief.", "input": PROMPT}
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]
    native = {"prompts": [turns], "completions": [ANSWER], "user_id": "ada"}
    expected = posted(service, "/v1/score", native)["rewards"][0]
    assert posted(service, "/verify", body)["reward"] == pytest.approx(expected, abs=1e-9)


def test_rerankers_get_the_best_first_and_only_so_many(service: httpx.Client) -> None:
    documents = [ANSWER, "Basil is a diva!", "It depends on your window; a grow lamp may help."]
    native = {"prompts": [PROMPT] * 3, "completions": documents, "user_id": "ada"}
    scores = posted(service, "/v1/score", native)["scores"]
    order = sorted(range(3), key=lambda row: -scores[row])
    for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
        body = {"model": "keel/ada", "query": PROMPT, "documents": documents, "top_n": 2, "return_documents": True}
        results = posted(service, path, body)["results"]
        assert [result["index"] for result in results] == order[:2]
        assert [result["relevance_score"] for result in results] == pytest.approx([scores[row] for row in order[:2]])
        assert all(result.keys() == {"index", "relevance_score"} for result in results)
    tei = posted(service, "/rerank", {"query": PROMPT, "texts": documents, "user": "ada", "return_text": True})
    assert [(rank["index"], rank["text"]) for rank in tei] == [(row, documents[row]) for row in order]


def test_vllm_pairs_one_query_with_all_documents_or_each_with_its_own(service: httpx.Client) -> None:
    one = posted(service, "/score", {"queries": PROMPT, "documents": [ANSWER, "Water it."]})
    each = posted(service, "/v1/score", {"text_1": [PROMPT, PROMPT], "text_2": [ANSWER, "Water it."]})
    assert one["data"] == each["data"]
    assert [item["index"] for item in one["data"]] == [0, 1]


def test_tei_predicts_pairs_and_mixed_batches(service: httpx.Client) -> None:
    pair = posted(service, "/predict", {"inputs": [PROMPT, ANSWER]})
    batch = posted(service, "/predict", {"inputs": [[PROMPT, ANSWER], f"{CHATML}{ANSWER}<|im_end|>", [MISTRAL]]})
    assert [row[0]["score"] for row in batch] == pytest.approx([pair[0]["score"]] * 3, abs=1e-9)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/classify", {"messages": [*SEEN, {"role": "assistant", "content": ANSWER}], "use_activation": False}),
        ("/v1/embeddings", {"input": [*SEEN, {"role": "assistant", "content": ANSWER}]}),
        ("/rm", {"prompt": SEEN, "response": ANSWER}),
        ("/verify", {"responses_create_params": {"input": SEEN}, "response": {"output": [said(ANSWER)]}}),
        ("/verify", {"responses_create_params": {"input": ATTACHED}, "response": {"output": [said(ANSWER)]}}),
    ],
)
def test_an_image_in_a_prompt_is_named_as_unread(service: httpx.Client, path: str, body: dict[str, Any]) -> None:
    reply = service.post(path, json=body | {"user": "ada"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["X-Keel-Flags"] == "unread_content"
    if isinstance(reply.json(), dict):
        assert reply.json()["flags"] == ["unread_content"]


@pytest.mark.parametrize("path", ["/classify", "/v1/embeddings"])
def test_a_conversation_with_tools_is_read_as_on_the_native_route(service: httpx.Client, path: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"herb": "basil"}'}}
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "Six hours of light."},
    ]
    native = {"prompts": [turns], "completions": [ANSWER], "user_id": "ada"}
    expected = posted(service, "/v1/score", native)["rewards"][0]
    body = {"messages": [*turns, {"role": "assistant", "content": ANSWER}], "user": "ada", "use_activation": False}
    (row,) = posted(service, path, body)["data"]
    assert (row.get("probs") or row["embedding"])[0] == pytest.approx(expected, abs=1e-9)


def test_parts_of_a_prompt_at_a_door_are_pieces_of_one_text(service: httpx.Client, reward: float) -> None:
    parts = [{"type": "text", "text": text} for text in (PROMPT[:9], PROMPT[9:])]
    body = {"prompt": [{"role": "user", "content": parts}], "response": ANSWER, "user": "ada"}
    assert posted(service, "/rm", body) == pytest.approx(reward, abs=1e-9)


def test_calls_and_their_outputs_in_nemo_gyms_input_are_turns_and_come_back(service: httpx.Client) -> None:
    sent = nemo_gym(ANSWER)
    sent["responses_create_params"]["input"] += [
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "look_up", "arguments": "{}", "status": "completed"},
        {"type": "function_call_output", "call_id": "c", "output": "Six hours of light.", "extra": [1, None]},
    ]
    turns = [
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "tool_calls": [{"function": {"name": "look_up", "arguments": "{}"}}]},
        {"role": "tool", "content": "Six hours of light."},
    ]
    native = {"prompts": [turns], "completions": [ANSWER], "user_id": "ada"}
    reply = posted(service, "/verify", sent)
    assert {name: reply[name] for name in sent} == sent
    assert reply["reward"] == pytest.approx(posted(service, "/v1/score", native)["rewards"][0], abs=1e-9)
