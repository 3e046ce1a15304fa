"""LoRA adapters on an encoder: put on, found among its parameters, written as peft reads them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from reward_bases.sources.encoder import Encoder
from reward_bases.sources.encoder_files import with_peft

TARGETS = (("query", "value"), ("q_proj", "v_proj"))


def with_adapters(model: Any, rank: int, alpha: int, seed: int) -> Any:
    """The model with LoRA adapters on its queries and values, or on every linear layer where it has no such names."""
    layers = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    targets = next((list(pair) for pair in TARGETS if layers.issuperset(pair)), "all-linear")
    with with_peft() as peft, torch.random.fork_rng():
        torch.manual_seed(seed)
        config = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets)
        return peft.get_peft_model(model, config).eval()


def trainable(encoder: Encoder) -> dict[str, Tensor]:
    """The adapters' parameters by name: all that asks for a gradient."""
    return {name: tensor for name, tensor in encoder.model.named_parameters() if tensor.requires_grad}


def write_adapter(folder: Path, model: Any, base: str) -> None:
    """The adapter in peft's files; the base model is given by its name, not by its path."""
    with with_peft() as peft:
        tensors = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    contiguous = {name: tensor.cpu().contiguous() for name, tensor in sorted(tensors.items())}
    save_file(contiguous, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config["default"].to_dict()
    write_json(folder / "adapter_config.json", config | {"base_model_name_or_path": base, "inference_mode": True})


def write_json(path: Path, content: object) -> None:
    """Indented JSON with sorted keys; a set becomes a sorted list."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True, default=sorted) + "\n", encoding="utf-8")
