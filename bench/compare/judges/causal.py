"""A causal language model from local files as a judge; prompts are read in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from reward_bases.sources.likelihood import CausalModel

HALF = "\N{REPLACEMENT CHARACTER}"
"""What a character that ends in the next token is decoded as."""
BATCH_TOKENS = 16_384
"""A batch has at most so many tokens with its padding, or one prompt."""


@dataclass(frozen=True, eq=False)
class CausalJudge:
    """A model with a window of ``context`` tokens; ``letters`` are the ids of the tokens that read A, and B.

    A tokenizer with a chat template sends a prompt as a user's turn, any other as it is.
    """

    causal: CausalModel
    context: int
    letters: tuple[Tensor, Tensor]

    @classmethod
    def load(cls, name: str, context: int) -> "CausalJudge":
        """From a folder or by name, on a GPU if there is one; the window is the model's own if that is shorter.

        Raises InvalidInput for what is no causal model in safetensors, and for one without tokens A and B.
        """
        try:
            causal = CausalModel.load(Path(name))
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"--judge {name} is no causal language model that transformers loads ({type(error).__name__}); name "
                "a folder or model with config.json, safetensors and a tokenizer, or an endpoint http(s)://host/v1"
            ) from error
        causal.model.to("cuda" if torch.cuda.is_available() else "cpu")
        own = getattr(causal.model.config, "max_position_embeddings", None) or context
        first, second = (_reading(causal.tokenizer, letter, name) for letter in "AB")
        return cls(causal, min(context, own), (first, second))

    def tokens(self, prompt: str) -> int:
        """Length of the prompt in its template."""
        return len(self._ids(prompt))

    def cut(self, text: str, limit: int) -> str:
        """The text, or its first ``limit`` tokens and an ellipsis."""
        tokenizer = self.causal.tokenizer
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return text if len(ids) <= limit else tokenizer.decode(ids[:limit]).rstrip(HALF) + "…"

    def log_odds(self, prompts: Sequence[str]) -> Tensor:
        """log P(A) − log P(B) (n,), nats; several tokens that read alike count together."""
        odds = torch.zeros(len(prompts), dtype=torch.float64)
        for rows, ids in self._batches(prompts):
            scores = self._follow(ids, 1).logits[0].double().cpu()
            first, second = (scores[:, letter].logsumexp(1) for letter in self.letters)
            odds[rows] = first - second
        return odds

    def write(self, prompts: Sequence[str], limit: int) -> list[str]:
        """The likeliest token each time, at most ``limit``."""
        texts = [""] * len(prompts)
        for rows, ids in self._batches(prompts):
            written = self._follow(ids, limit).sequences[:, max(map(len, ids)) :]
            said = self.causal.tokenizer.batch_decode(written, skip_special_tokens=True)
            for row, text in zip(rows, said, strict=True):
                texts[row] = text.strip()
        return texts

    def _ids(self, prompt: str) -> list[int]:
        tokenizer = self.causal.tokenizer
        templated = bool(tokenizer.chat_template)
        if templated:
            turns = [{"role": "user", "content": prompt}]
            prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids: list[int] = tokenizer(prompt, add_special_tokens=not templated, verbose=False)["input_ids"]
        return ids

    def _batches(self, prompts: Sequence[str]) -> Iterator[tuple[list[int], list[list[int]]]]:
        """Rows of ``prompts`` and their ids, the longest first."""
        ids = list(map(self._ids, prompts))
        order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
        while order:
            size = max(1, BATCH_TOKENS // len(ids[order[0]]))
            rows, order = order[:size], order[size:]
            yield rows, [ids[row] for row in rows]

    @torch.no_grad()
    def _follow(self, ids: Sequence[Sequence[int]], limit: int) -> Any:
        """Greedy continuations, each prompt padded on its left."""
        tokenizer, model = self.causal.tokenizer, self.causal.model
        width = max(map(len, ids))
        padded = torch.tensor([[0] * (width - len(row)) + list(row) for row in ids], device=model.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids], device=model.device)
        ends = [token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if token is not None]
        return model.generate(
            input_ids=padded,
            attention_mask=mask,
            max_new_tokens=limit,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=ends[0],
            return_dict_in_generate=True,
            output_logits=True,
        )


def _reading(tokenizer: Any, letter: str, name: str) -> Tensor:
    """Ids of the tokens that read ``letter``."""
    candidates = [id for token, id in tokenizer.get_vocab().items() if token.endswith(letter)]
    found = sorted(id for id in candidates if tokenizer.decode([id]).strip() == letter)
    if not found:
        raise InvalidInput(f"--judge {name} has no token that reads {letter}; name a model whose tokenizer has one")
    return torch.tensor(found)
