"""Clients that people have, unchanged, against a real server: only the URL and the person's id are given."""

import asyncio
import gc
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from senders import chatml

pytestmark = [
    pytest.mark.slow,
    # What these packages warn of on import is theirs.
    pytest.mark.filterwarnings("ignore"),
]
PROMPT = "How do I keep basil alive indoors?"
DOCUMENTS = [
    "Basil? A diva! Lovely, lovely plant, and it will love you too.",
    "1. Light: six hours.\n2. Water: when the top is dry.",
    "It depends on your window; a grow lamp may help.",
]
TURNS = [("user", PROMPT)]
LITELLM = [
    ("hosted_vllm", "/v1/rerank", ("header", "model", "url")),
    ("cohere", "/v1/rerank", ("header", "model", "url")),
    ("cohere", "/v2/rerank", ("header", "model", "url")),
    ("jina_ai", "/v1/rerank", ("model",)),
    ("infinity", "", ("header", "model", "url")),
    ("huggingface", "/rerank", ("header", "url")),
]
"""Providers of litellm, and where they pass a person's id on."""


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """These clients close no connection themselves."""
    yield
    if "litellm" in sys.modules:
        sys.modules["litellm"].in_memory_llm_clients_cache.flush_cache()
    gc.collect()


@pytest.fixture
def scores(service: httpx.Client) -> list[float]:
    """Ada's scores of the documents, 0–1."""
    body = {"prompts": [PROMPT] * 3, "completions": DOCUMENTS, "user_id": "ada"}
    reply: list[float] = service.post("/v1/score", json=body).json()["scores"]
    common: list[float] = service.post("/v1/score", json={**body, "user_id": "bob"}).json()["scores"]
    assert reply != common, "or a client that loses the person's id would pass"
    return reply


def ordered(scores: list[float]) -> list[tuple[int, float]]:
    return [(row, pytest.approx(scores[row], abs=1e-6)) for row in sorted(range(3), key=lambda row: -scores[row])]


@pytest.mark.parametrize(
    ("provider", "path", "form"),
    [(provider, path, form) for provider, path, forms in LITELLM for form in forms],
)
def test_litellm_reranks(address: str, scores: list[float], provider: str, path: str, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm

    reply = litellm.rerank(
        model=f"{provider}/{'keel/ada' if form == 'model' else 'keel'}",
        query=PROMPT,
        documents=DOCUMENTS,
        top_n=3,
        api_base=f"{address}{'/u/ada' if form == 'url' else ''}{path}",
        api_key="unused",
        headers={"X-User-Id": "ada"} if form == "header" else {},
    )
    found = [(result["index"], result["relevance_score"]) for result in reply.results]
    assert found == ordered(scores)


def test_cohere_v1_and_v2_rerank(address: str, scores: list[float]) -> None:
    import cohere

    for kind in (cohere.Client, cohere.ClientV2):
        client = kind(api_key="unused", base_url=f"{address}/u/ada")
        reply = client.rerank(model="keel", query=PROMPT, documents=DOCUMENTS, top_n=3)
        assert [(result.index, result.relevance_score) for result in reply.results] == ordered(scores)


def test_cohere_hears_what_is_wrong(address: str) -> None:
    import cohere
    from cohere.errors import NotFoundError

    client = cohere.ClientV2(api_key="unused", base_url=f"{address}/u/nobody")
    with pytest.raises(NotFoundError) as error:
        client.rerank(model="keel", query=PROMPT, documents=DOCUMENTS)
    assert "nobody" in str(error.value)


def test_langchain_compresses_documents(address: str, scores: list[float]) -> None:
    from langchain_cohere import CohereRerank
    from langchain_core.documents import Document

    reranker = CohereRerank(cohere_api_key="unused", base_url=f"{address}/u/ada", model="keel", top_n=3)
    found = reranker.compress_documents([Document(page_content=text) for text in DOCUMENTS], PROMPT)
    expected = [(DOCUMENTS[row], score) for row, score in ordered(scores)]
    assert [(document.page_content, document.metadata["relevance_score"]) for document in found] == expected


def test_llama_index_postprocesses_nodes(address: str, scores: list[float]) -> None:
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    reranker = CohereRerank(api_key="unused", base_url=f"{address}/u/ada", model="keel", top_n=3)
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.0) for text in DOCUMENTS]
    found = reranker.postprocess_nodes(nodes, query_bundle=QueryBundle(PROMPT))
    expected = [(DOCUMENTS[row], score) for row, score in ordered(scores)]
    assert [(node.text, node.score) for node in found] == expected


def test_openai_reads_the_reward_as_an_embedding(service: httpx.Client, address: str) -> None:
    import openai

    native = {"prompts": [PROMPT] * 3, "completions": DOCUMENTS, "user_id": "ada"}
    rewards = service.post("/v1/score", json=native).json()["rewards"]
    texts = [f"{chatml(TURNS)}{text}<|im_end|>\n" for text in DOCUMENTS]
    client = openai.OpenAI(api_key="unused", base_url=f"{address}/v1", max_retries=0)
    for options in ({}, {"encoding_format": "float"}):
        reply = client.embeddings.create(model="keel", input=texts, user="ada", **options)
        assert [row.embedding for row in reply.data] == [[pytest.approx(reward, abs=1e-6)] for reward in rewards]
    with pytest.raises(openai.NotFoundError, match="nobody"):
        client.embeddings.create(model="keel", input=texts, user="nobody")


def test_openai_lists_the_names_that_a_model_may_have_and_no_person(service: httpx.Client, address: str) -> None:
    import openai

    for url in (f"{address}/v1", f"{address}/u/ada/v1"):
        models = openai.OpenAI(api_key="unused", base_url=url, max_retries=0).models.list().data
        assert [model.id for model in models] == ["keel", "keel/{user_id}"]
        assert {model.object for model in models} == {"model"}


@pytest.fixture(scope="module")
def openrlhf_executor() -> Any:
    """OpenRLHF's own HTTP client, without the trainer around it: its package imports DeepSpeed, Ray and vLLM."""
    spec = importlib.util.find_spec("openrlhf")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pip install --no-deps openrlhf==0.11.0 (it brings a package called tests: run this file alone)")
    root = Path(spec.submodule_search_locations[0])
    for name, folder in (("openrlhf", root), ("openrlhf.utils", root / "utils")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return importlib.import_module("openrlhf.utils.agent").SingleTurnAgentExecutor


def test_openrlhfs_own_client_reads_reward_score_and_logs(
    address: str, service: httpx.Client, openrlhf_executor: Any
) -> None:
    executor = openrlhf_executor(f"{address}/get_reward")
    native = {"prompts": [PROMPT] * 3, "completions": DOCUMENTS, "user_id": "ada"}
    expected = service.post("/v1/score", json=native).json()

    async def fetched(text: str) -> dict[str, Any]:
        query = f"{chatml(TURNS)}{text}<|im_end|>"
        replies: list[dict[str, Any]] = await executor._fetch_rewards_via_http(
            [query], [chatml(TURNS)], [{"user_id": "ada"}]
        )
        return replies[0]

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(*(fetched(text) for text in DOCUMENTS))

    found = asyncio.run(all_of_them())
    for name in ("rewards", "scores"):
        assert [reply[name] for reply in found] == [[pytest.approx(number, abs=1e-9)] for number in expected[name]]
    assert all(
        isinstance(value, float) for reply in found for values in reply["extra_logs"].values() for value in values
    )


def test_openrlhfs_own_client_may_have_more_addresses_than_queries(address: str, openrlhf_executor: Any) -> None:
    executor = openrlhf_executor([f"{address}/get_reward", f"{address}/u/ada/get_reward"])
    query = f"{chatml(TURNS)}{DOCUMENTS[0]}<|im_end|>"
    replies = asyncio.run(executor._fetch_rewards_via_http([query], [chatml(TURNS)], [""]))
    assert [len(reply["rewards"]) for reply in replies] in ([1], [1, 0]), "to 0.11.0 it sends an empty list"
