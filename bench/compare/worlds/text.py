"""Texts to the features that every method of a suite shares.

A response has the features of ``reward_bases.sources.features`` (surface, relation to the prompt, relevance, principal
components of its vector), a statement those that need no prompt and a constant, which stands for agreeing with
anything. Axes, ranges, centres and scales come from the texts of the training part alone: a value is clipped to the
range it had there, but for lengths, as in the shipped basis.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from reward_bases.sources.embedding import Reading
from reward_bases.sources.encoder_files import load_encoder
from reward_bases.sources.features import feature_names, text_and_encoder
from reward_bases.sources.phi import columns_of
from reward_bases.sources.source import Pair
from reward_bases.sources.surface import SURFACE_NAMES, surface
from reward_bases.text import Conversation
from reward_bases.train.features.vectors import VectorCache
from reward_bases.traits.pairs import spread_of
from reward_bases.traits.traits import principal_axes

Encode = Callable[[Sequence[str]], Tensor]
"""Texts to unit vectors (n, d)."""

COMPONENTS = 32
LENGTH = SURFACE_NAMES.index("log_words")
"""The column that counts length, of responses and of statements."""
RESPONSE_LENGTHS = [feature_names(0).index(name) for name in ("log_words", "log_length_ratio")]
CACHE = Path(__file__).parents[2] / ".cache"


def encode(texts: Sequence[str]) -> Tensor:
    """Unit vectors (n, d) by the default encoder, computed once and kept in ``bench/.cache``."""
    return _vectors().of(texts)


@cache
def _vectors() -> VectorCache:
    return VectorCache(load_encoder(), CACHE)


def response_features(
    conversations: Sequence[Conversation], responses: Sequence[str], prompts: Tensor, taught: Tensor, encode: Encode
) -> Tensor:
    """Features (n, F) of responses to prompts with the numbers ``prompts`` (n,); ``taught`` (n,) bool are training.

    Centred there, with differences between two responses to one prompt of standard deviation 1.
    """
    said = encode(responses)
    axes = principal_axes(said[taught], prompts[taught], COMPONENTS)
    pairs = [Pair(*pair) for pair in zip(conversations, responses, strict=True)]
    raw = asyncio.run(columns_of(pairs, text_and_encoder(Reading(encode), "", axes)))
    return _standardised(raw, taught, prompts, RESPONSE_LENGTHS) / math.sqrt(2)


def statement_features(texts: Sequence[str], taught: Tensor, encode: Encode) -> Tensor:
    """Features (n, F) of statements, of which ``taught`` (n,) bool are training: surface, components, a constant 1.

    All but the constant are centred and of standard deviation 1 over the training statements.
    """
    said, together = encode(texts).double(), torch.zeros(len(texts))
    axes = principal_axes(said[taught], together[taught], COMPONENTS)
    raw = torch.cat([torch.tensor([surface(text) for text in texts], dtype=torch.float64), said @ axes.T], dim=1)
    constant = torch.ones(len(texts), 1, dtype=torch.float64)
    return torch.cat([_standardised(raw, taught, together, [LENGTH]), constant], dim=1)


def _standardised(raw: Tensor, taught: Tensor, groups: Tensor, lengths: list[int]) -> Tensor:
    """Clipped but for the columns ``lengths``, centred, and in units of the spread within ``groups`` (n,)."""
    seen = raw[taught]
    lowest, highest = seen.min(0).values, seen.max(0).values
    lowest[lengths], highest[lengths] = -torch.inf, torch.inf
    centred: Tensor = raw.clamp(lowest, highest) - seen.mean(0)
    return centred / spread_of(seen, groups[taught])
