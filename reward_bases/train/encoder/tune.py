"""Adapting the encoder itself to many people's judgments: LoRA adapters and a small head, learned together.

The reward of a text with unit vector v for person u is

    r_u = s·(wᵀv + λ_uᵀBv)        λ_u ~ N(0, 1), K directions in B; entries of w and B ~ N(0, head_std²)

where s makes the mean square length of a pair's difference 1 under the frozen encoder. A judgment with z = r_left −
r_right costs −t·ln σ(z) − (1−t)·ln σ(−z), t = 1, ½, 0 for left, same, right. The head is fitted on frozen vectors
first; adapters and head then go on together from there by AdamW, which keeps what the frozen encoder knows.

The encoder reads one text of a pair at a time, a causal model too: everywhere else a response's vector is cached by
the response alone and related to its conversation by a cosine, and a tuned encoder is used exactly like a frozen one.

People are held out in two halves: the *watched* choose the epoch that is kept (0 is the frozen encoder), the *reported*
give the figures. Of a held-out person every second judgment reveals λ_u and the others are predicted.

Sources: E. J. Hu et al. (2021), LoRA: Low-Rank Adaptation of Large Language Models; A. Kumar et al. (2022), Fine-tuning
can distort pretrained features (head first, then both).
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch

from reward_bases.sources.encoder import Encoder
from reward_bases.sources.encoder_files import TUNED_CARD, load_encoder
from reward_bases.train.encoder.tuning_pairs import TuningPairs
from reward_bases.train.encoder.tuning_run import METRICS, Progress, begin, require_same_run
from reward_bases.train.encoder.tuning_settings import TuneSettings

CHECKPOINT = "checkpoint.safetensors"


def tune(
    encoder_name: str,
    pairs: TuningPairs,
    settings: TuneSettings,
    folder: Path,
    progress: Progress = lambda done, total: None,
    device: str | None = None,
) -> Path:
    """Tune the encoder called ``encoder_name`` and write it to ``folder``, which ``load_encoder`` then reads.

    ``progress(steps done, steps in all)`` is called after every step. A run that was interrupted goes on from the last
    whole epoch when called again with the same arguments, and a finished one is left as it is. ``device`` is CUDA where
    there is one. ``metrics.json`` holds accuracy and log-likelihood (nats per judgment) of held-out people before and
    after. Raises InvalidInput without peft, for fewer than 3 people, or when ``folder`` holds a run on other arguments.
    """
    encoder = load_encoder(encoder_name)
    run = _fingerprint(encoder, pairs, settings)
    if (folder / TUNED_CARD).is_file():
        require_same_run(folder, run, json.loads((folder / METRICS).read_text(encoding="utf-8"))["run"])
        return folder
    tuning = begin(encoder, pairs, settings, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / CHECKPOINT
    if checkpoint.is_file():
        tuning.restore(checkpoint, run)
    else:
        tuning.fit_head()
        tuning.save(checkpoint, run)
    while not tuning.done:
        tuning.run_epoch(progress)
        tuning.save(checkpoint, run)
    tuning.finish(folder, encoder, run)
    checkpoint.unlink()
    progress(tuning.steps, tuning.steps)
    return folder


def _fingerprint(encoder: Encoder, pairs: TuningPairs, settings: TuneSettings) -> str:
    named = json.dumps([encoder.name, encoder.sha256, pairs.sha256, asdict(settings)])
    return hashlib.sha256(named.encode()).hexdigest()
