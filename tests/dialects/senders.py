"""How each client renders a prompt and a response, which number it reads from the reply, and on which scale it is."""

import base64
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listening import listening

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.sources.turns import Limits
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

Turns = Sequence[tuple[str, str]]
"""(role, content) of every turn before the response."""


def chatml(turns: Turns) -> str:
    """The prompt as a ChatML tokenizer renders it, ready for the model to go on."""
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"


def llama3(turns: Turns) -> str:
    rendered = "".join(f"<|start_header_id|>{role}<|end_header_id|>\n\n{text}<|eot_id|>" for role, text in turns)
    return f"<|begin_of_text|>{rendered}<|start_header_id|>assistant<|end_header_id|>\n\n"


def messages(turns: Turns) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in turns]


def whole(turns: Turns, response: str) -> str:
    return f"{chatml(turns)}{response}<|im_end|>\n"


@dataclass(frozen=True)
class Sender:
    """``raw`` when the number is in nats, else its map to 0–1; ``turns`` when the door takes more than one.

    ``bounded`` when the request says where the prompt ends; else a turn inside the response is a turn.
    """

    path: str
    body: Callable[[Turns, str], dict[str, Any]]
    read: Callable[[Any], float]
    raw: bool = True
    turns: bool = True
    bounded: bool = True


def unpacked(text: str) -> float:
    number: float = struct.unpack("<f", base64.b64decode(text))[0]
    return number


SENDERS = {
    "openrlhf": Sender(
        "/get_reward",
        lambda turns, text: {"query": [f"{chatml(turns)}{text}<|im_end|>"], "prompts": [chatml(turns)], "labels": [""]},
        lambda reply: reply["rewards"][0],
    ),
    "openrlhf, llama 3, padded": Sender(
        "/get_reward",
        lambda turns, text: {
            "query": [f"<|end_of_text|><|end_of_text|>{llama3(turns)}{text}<|eot_id|>"],
            "prompts": [llama3(turns)],
            "labels": [None],
        },
        lambda reply: reply["rewards"][0],
    ),
    "openrlhf scores": Sender(
        "/get_reward",
        lambda turns, text: {"query": [f"{chatml(turns)}{text}<|im_end|>"], "prompts": [chatml(turns)]},
        lambda reply: reply["scores"][0],
        raw=False,
    ),
    "openrlhf without prompts": Sender(
        "/get_reward",
        lambda turns, text: {"query": [whole(turns, text)]},
        lambda reply: reply["rewards"][0],
        bounded=False,
    ),
    "slime": Sender("/rm", lambda turns, text: {"prompt": chatml(turns), "response": text, "label": "x"}, float),
    "slime messages": Sender("/rm", lambda turns, text: {"prompt": messages(turns), "response": text}, float),
    "llama-factory": Sender(
        "/v1/score/evaluation",
        lambda turns, text: {"model": "model", "messages": [f"{whole(turns, text)}<|endoftext|><|endoftext|>"]},
        lambda reply: reply["scores"][0],
        bounded=False,
    ),
    "vllm classify, as verl": Sender(
        "/classify",
        lambda turns, text: {"model": "m", "input": whole(turns, text), "use_activation": False},
        lambda reply: reply["data"][-1]["probs"][-1],
        bounded=False,
    ),
    "vllm classify": Sender(
        "/classify",
        lambda turns, text: {"model": "m", "input": [whole(turns, text)]},
        lambda reply: reply["data"][0]["probs"][0],
        raw=False,
        bounded=False,
    ),
    "vllm classify messages": Sender(
        "/classify",
        lambda turns, text: {"messages": messages([*turns, ("assistant", text)]), "use_activation": False},
        lambda reply: reply["data"][0]["probs"][0],
    ),
    "vllm score": Sender(
        "/score",
        lambda turns, text: {"queries": turns[-1][1], "documents": [text], "use_activation": False},
        lambda reply: reply["data"][0]["score"],
        turns=False,
    ),
    "vllm /v1/score": Sender(
        "/v1/score",
        lambda turns, text: {"model": "m", "text_1": [turns[-1][1]], "text_2": text},
        lambda reply: reply["data"][0]["score"],
        raw=False,
        turns=False,
    ),
    "sglang": Sender(
        "/classify",
        lambda turns, text: {"text": whole(turns, text)},
        lambda reply: reply["embedding"][0],
        bounded=False,
    ),
    "sglang batch": Sender(
        "/classify",
        lambda turns, text: {"text": [whole(turns, text)]},
        lambda reply: reply[0]["embedding"][0],
        bounded=False,
    ),
    "embeddings": Sender(
        "/v1/embeddings",
        lambda turns, text: {"model": "keel", "input": [whole(turns, text)]},
        lambda reply: reply["data"][-1]["embedding"][-1],
        bounded=False,
    ),
    "embeddings base64": Sender(
        "/v1/embeddings",
        lambda turns, text: {"model": "keel", "input": whole(turns, text), "encoding_format": "base64"},
        lambda reply: unpacked(reply["data"][0]["embedding"]),
        bounded=False,
    ),
    "rerank": Sender(
        "/rerank",
        lambda turns, text: {"model": "m", "query": turns[-1][1], "documents": [text], "top_n": 1},
        lambda reply: reply["results"][0]["relevance_score"],
        raw=False,
        turns=False,
    ),
    "rerank v1": Sender(
        "/v1/rerank",
        lambda turns, text: {"query": turns[-1][1], "documents": [{"text": text}], "use_activation": False},
        lambda reply: reply["results"][0]["relevance_score"],
        turns=False,
    ),
    "rerank v2, rendered query": Sender(
        "/v2/rerank?template=chatml",
        lambda turns, text: {"query": chatml(turns), "documents": [text]},
        lambda reply: reply["results"][0]["relevance_score"],
        raw=False,
    ),
    "tei rerank": Sender(
        "/rerank",
        lambda turns, text: {"query": turns[-1][1], "texts": [text], "raw_scores": True},
        lambda reply: reply[0]["score"],
        turns=False,
    ),
    "tei predict": Sender(
        "/predict",
        lambda turns, text: {"inputs": [turns[-1][1], text]},
        lambda r: r[0]["score"],
        raw=False,
        turns=False,
    ),
    "tei predict batch": Sender(
        "/predict",
        lambda turns, text: {"inputs": [[turns[-1][1], text]], "raw_scores": True},
        lambda reply: reply[0][0]["score"],
        turns=False,
    ),
    "nemo-gym": Sender(
        "/verify",
        lambda turns, text: {
            "responses_create_params": {"input": messages(turns)},
            "response": {
                "id": "resp_1",
                "output": [
                    {"type": "reasoning", "summary": []},
                    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]},
                ],
            },
        },
        lambda reply: reply["reward"],
    ),
}


@contextmanager
def listening_service(artifact: Artifact, encoder: Encoder, folder: Path, **options: Any) -> Iterator[str]:
    """The address of a real server on a free port."""
    settings = Settings(data_dir=folder, **options)
    waiting = Limits(settings.max_waiting_texts, settings.max_waiting_tokens, settings.max_tenant_tokens)
    engine = Engine(artifact, lambda: encoder, 1000, 1000, waiting)
    app = create_app(settings, open_store(settings), engine)
    with listening(app) as address:
        yield address
