"""A stance head out of a causal language model: how much likelier a response becomes once the user's stance is known.

    ratio(x, y) = log p(y | x with the stance) − log p(y | x without it), in nats

summed over the tokens of y, under the model's chat template. A response that sides with the user gains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging


@dataclass(frozen=True)
class CausalModel:
    """A causal language model with its tokenizer, which has a chat template."""

    tokenizer: Any
    model: Any

    @classmethod
    def load(cls, folder: Path) -> "CausalModel":
        """From a folder with safetensors; no remote code."""
        logging.disable_progress_bar()
        model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, trust_remote_code=False).eval()
        return cls(AutoTokenizer.from_pretrained(folder, trust_remote_code=False), model)

    def ratios(self, asked: Sequence[str], bare: Sequence[str], responses: Sequence[str]) -> Tensor:
        """ratio (n,) of n responses to prompts ``asked`` with the stance and ``bare`` without it."""
        cells = list(dict.fromkeys([*zip(asked, responses, strict=True), *zip(bare, responses, strict=True)]))
        known = {cell: self.log_likelihood(*cell) for cell in cells}
        pairs = zip(asked, bare, responses, strict=True)
        return torch.tensor([known[x, y] - known[without, y] for x, without, y in pairs], dtype=torch.float64)

    @torch.no_grad()
    def log_likelihood(self, prompt: str, response: str) -> float:
        """log p(response | prompt), nats."""
        turns = [{"role": "user", "content": prompt}]
        start: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        before = self.tokenizer(start, add_special_tokens=False)["input_ids"]
        said = self.tokenizer(response, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([before + said])
        scores = self.model(input_ids=ids).logits[0, len(before) - 1 : -1].double().log_softmax(-1)
        return float(scores.gather(1, ids[0, len(before) :, None]).sum())
