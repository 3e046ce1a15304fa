"""An encoder: texts to vectors, ``encode(texts) -> (n, d)`` float32, unit length.

Chunk rule: a text longer than ``window`` tokens is cut into consecutive windows of that many tokens; its vector is the
mean of the windows' pooled states weighted by their token counts, renormalised. Nothing is dropped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MINILM = "minilm"
WINDOW = 256
PADDED_TOKENS_PER_BATCH = 4096
CPU_STEP_TOKENS = 1024


@dataclass(frozen=True)
class Encoder:
    """A loaded model; ``sha256`` is that of its weights, ``setup_sha256`` of its configuration and tokenizer.

    ``dimension`` is the length of a vector, ``revision`` the commit of a model from a hub.

    The model runs on whatever device it lies on; vectors come back to the CPU.
    """

    name: str
    sha256: str
    dimension: int
    window: int
    causal: bool
    tokenizer: Any
    model: Any
    setup_sha256: str = ""
    revision: str | None = None

    @property
    def pooling(self) -> str:
        """``last token`` or ``masked mean``."""
        return "last token" if self.causal else "masked mean"

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (n, d) float32, in the order of ``texts``."""
        return self.vectors(texts)

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Vectors as ``encode`` gives them, with gradients with respect to the model."""
        *_, vectors = self._steps(texts, PADDED_TOKENS_PER_BATCH)
        assert vectors is not None  # noqa: S101 - the last step's
        return vectors

    @torch.no_grad()
    def steps(self, texts: Sequence[str]) -> Iterator[Tensor | None]:
        """As ``encode``, to be interrupted: None after each batch of the model but the last, then the vectors (n, d).

        On a CPU the batches are small: others wait for no more than a few tenths of a second.
        """
        on_cpu = self.model.device.type == "cpu"
        yield from self._steps(texts, CPU_STEP_TOKENS if on_cpu else PADDED_TOKENS_PER_BATCH)

    def _steps(self, texts: Sequence[str], tokens: int) -> Iterator[Tensor | None]:
        chunks = sorted(self._windows(texts), key=lambda chunk: len(chunk[1])) if texts else []
        sums = torch.zeros(len(texts), self.dimension)
        batches = _token_bounded(chunks, tokens)
        for number, batch in enumerate(batches, 1):
            owners = torch.tensor([owner for owner, _ in batch])
            weights = torch.tensor([[float(len(ids))] for _, ids in batch])
            sums.index_add_(0, owners, self._pooled([ids for _, ids in batch]) * weights)
            if number < len(batches):
                yield None
        yield torch.nn.functional.normalize(sums, dim=-1)

    def _windows(self, texts: Sequence[str]) -> list[tuple[int, list[int]]]:
        """(index of the text, token ids with special tokens) for every window of every text."""
        cut = self.tokenizer(
            list(texts), truncation=True, max_length=self.window, return_overflowing_tokens=True, padding=False
        )
        empty = [self.tokenizer.eos_token_id or 0]
        owners = cut["overflow_to_sample_mapping"]
        return [(owner, ids or empty) for owner, ids in zip(owners, cut["input_ids"], strict=True)]

    def _pooled(self, batch: list[list[int]]) -> Tensor:
        width = max(map(len, batch))
        ids = torch.tensor([part + [self.tokenizer.pad_token_id or 0] * (width - len(part)) for part in batch])
        lengths = torch.tensor([len(part) for part in batch])
        mask = torch.arange(width) < lengths[:, None]
        place = self.model.device
        output = self.model(input_ids=ids.to(place), attention_mask=mask.long().to(place))
        states: Tensor = output.last_hidden_state.float().cpu()
        if self.causal:
            return states[torch.arange(len(batch)), lengths - 1]
        return (states * mask[..., None]).sum(1) / lengths[:, None]


def _token_bounded(chunks: list[tuple[int, list[int]]], tokens: int) -> list[list[tuple[int, list[int]]]]:
    batches: list[list[tuple[int, list[int]]]] = [[]]
    for chunk in chunks:
        if batches[-1] and (len(batches[-1]) + 1) * len(chunk[1]) > tokens:
            batches.append([])
        batches[-1].append(chunk)
    return batches if batches[-1] else []
