"""A judge behind ``transformers serve``: a server that is not ours, with a model that always says the same."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from app.sources.opening import openers
from app.storage.judgments import FILE, Judgments
from reward_bases.recipe.reading import read_recipe
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation

ANSWER = '{"cites": 4}'
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}<ask>"
RUBRIC = '[[criteria]]\nname = "cites"\ntext = "it names its sources"\nvotes = 2\n'
PAIRS = [Pair(Conversation.of("How do I keep basil alive?"), response) for response in ("Water it.", "Light. 🙂")]


def save_model(folder: Path) -> None:
    """The token after ``<ask>`` is ANSWER, and the one after that ends the text: a hidden state is a token alone."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    own = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=own, eos_token="<end>", pad_token="<end>")
    tokenizer.add_tokens(["<ask>", ANSWER])
    tokenizer.chat_template = TEMPLATE
    ask, answer, end = tokenizer.convert_tokens_to_ids(["<ask>", ANSWER, "<end>"])
    size = len(tokenizer) + len(tokenizer) % 2
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=size,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            max_position_embeddings=4096,
            eos_token_id=end,
            pad_token_id=end,
        )
    )
    with torch.no_grad():
        for weights in (model.model.layers[0].self_attn.o_proj.weight, model.model.layers[0].mlp.down_proj.weight):
            weights.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.zero_()
        model.lm_head.weight[answer, ask] = model.lm_head.weight[end, answer] = 1.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server for the model in ``folder``."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = str(Path(sys.executable).with_name("transformers"))
    command = [program, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, **quiet) as child:
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", child)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            child.terminate()


def _wait_until_ready(address: str, child: subprocess.Popen[bytes]) -> None:
    while child.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/health").is_success:
                return
        time.sleep(0.2)
    raise RuntimeError("the server did not start")


@pytest.mark.slow
async def test_votes_of_a_model_behind_transformers_serve(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    (tmp_path / "rubric.toml").write_text(RUBRIC)
    with served(tmp_path / "model") as url:
        (tmp_path / "recipe.toml").write_text(
            f'[reference]\nbank = true\n[sources.judge]\nkind = "judge"\nurl = "{url}"\n'
            f'model = "{tmp_path / "model"}"\nrubric = "rubric.toml"\nretries = 0\ntimeout = 300\n'
        )
        judgments = Judgments(tmp_path / "data" / FILE)
        source = openers(judgments)["judge"](read_recipe(tmp_path / "recipe.toml").sources[0].settings)
        found = await source.columns(PAIRS)
    assert not found.failed
    # 4 in one direction, and 4 on the scale turned round, which is 2.
    assert found.values.tolist() == [[3.0], [3.0]]
    assert (await source.columns(PAIRS)).values.tolist() == [[3.0], [3.0]]
