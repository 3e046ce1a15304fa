"""Kind ``reward_model``: the outputs of a local sequence-classification model that reads prompt and response together.

The conversation and the response go through the tokenizer's own chat template, as in training; a tokenizer without a
template reads ``prompt`` and ``response`` as a pair of texts. A model of several outputs has a column for each. A pair
longer than the model's window loses its oldest turns first, but never its last user turn; one that still does not fit
has failed. Pairs are read in batches of similar length, so that a row follows from its pair alone, to rounding.

The version is the SHA-256 of weights, configuration and tokenizer, the data type and the window.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from elicitation.errors import InvalidInput
from reward_bases.sources.encoder_files import model_digest
from reward_bases.sources.source import Columns, Pair

BATCH_TOKENS = 4096
"""Of a batch with its padding, unless a single pair is longer."""
WINDOW = 4096
"""Tokens that are read of a pair, if the model's own window is not shorter."""
DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True, eq=False)
class RewardModelSource:
    """A loaded model; ``names`` (f,) are its outputs, ``window`` the most tokens that it reads of a pair."""

    tokenizer: Any
    model: Any
    names: tuple[str, ...]
    version: str
    window: int
    kind: str = "reward_model"

    @classmethod
    def load(
        cls,
        folder: Path,
        outputs: Sequence[str] | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        window: int = WINDOW,
    ) -> "RewardModelSource":
        """From a folder with safetensors, without remote code; ``outputs`` names the outputs in their order.

        Raises InvalidInput for a folder that holds no such model, and for names that are not as many as its outputs.
        """
        if dtype not in DTYPES:
            raise InvalidInput(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        logging.disable_progress_bar()
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, use_safetensors=True, trust_remote_code=False, dtype=DTYPES[dtype]
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise InvalidInput(
                f"reward model {folder} cannot be loaded ({type(error).__name__}); name a folder with config.json, "
                "*.safetensors and a tokenizer of a sequence-classification model"
            ) from error
        names = _names(model.config, outputs, folder)
        window = min(window, int(getattr(model.config, "max_position_embeddings", None) or window))
        said = f"{model_digest(folder)} {dtype} {window}"
        version = hashlib.sha256(said.encode()).hexdigest()[:12]
        return cls(tokenizer, model.eval().to(device), names, version, window)

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, f) float64; each batch in a thread."""
        tokens = await asyncio.to_thread(lambda: [self.tokens(pair) for pair in pairs])
        failed = {
            row: f"the pair has {len(ids)} tokens, the model reads {self.window}"
            for row, ids in enumerate(tokens)
            if len(ids) > self.window
        }
        values = torch.zeros(len(pairs), len(self.names), dtype=torch.float64)
        fitting = sorted((row for row in range(len(pairs)) if row not in failed), key=lambda row: len(tokens[row]))
        for rows in self._batches(fitting, [len(ids) for ids in tokens]):
            values[rows] = await asyncio.to_thread(self._read, [tokens[row] for row in rows])
        return Columns(values, failed)

    def tokens(self, pair: Pair) -> list[int]:
        """Ids of the pair, without its oldest turns if they do not fit."""
        turns = [{"role": m.role, "content": m.content} for m in pair.conversation.messages]
        while True:
            ids = self._ids(turns, pair.response)
            oldest = next((i for i, turn in enumerate(turns[:-1]) if turn["role"] != "system"), None)
            if len(ids) <= self.window or oldest is None:
                return ids
            del turns[oldest]

    def _ids(self, turns: list[dict[str, str]], response: str) -> list[int]:
        if self.tokenizer.chat_template:
            said = [*turns, {"role": "assistant", "content": response}]
            text: str = self.tokenizer.apply_chat_template(said, tokenize=False)
            ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            return ids
        asked = "\n".join(turn["content"] for turn in turns)
        both: list[int] = self.tokenizer(asked, response, verbose=False)["input_ids"]
        return both

    def _batches(self, rows: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
        """``rows``, sorted by length, in batches of at most BATCH_TOKENS with their padding.

        A model without a padding token reads one pair at a time.
        """
        alone, batch = self.model.config.pad_token_id is None, list[int]()
        for row in rows:
            if batch and (alone or (len(batch) + 1) * lengths[row] > BATCH_TOKENS):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    @torch.no_grad()
    def _read(self, batch: Sequence[Sequence[int]]) -> Tensor:
        """The outputs (b, f) float64 of token ids, padded on the right."""
        width, filler = max(map(len, batch)), self.model.config.pad_token_id or 0
        ids = torch.tensor([[*part, *[filler] * (width - len(part))] for part in batch])
        mask = torch.arange(width) < torch.tensor([len(part) for part in batch])[:, None]
        place = self.model.device
        output = self.model(input_ids=ids.to(place), attention_mask=mask.long().to(place))
        found: Tensor = output.logits.double().cpu()
        return found


def _names(config: Any, outputs: Sequence[str] | None, folder: Path) -> tuple[str, ...]:
    """Names of the model's outputs: those given, else those of its configuration, ``score`` if it has one output."""
    count = int(config.num_labels)
    if outputs is not None and len(outputs) != count:
        raise InvalidInput(
            f"outputs names {len(outputs)} of the {count} outputs of reward model {folder}; name all, in their order"
        )
    own = ["score"] if count == 1 else [str(config.id2label[i]) for i in range(count)]
    return tuple(own if outputs is None else outputs)
