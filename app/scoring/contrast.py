"""Rewards against baseline responses: r(x, y) − mean_j r(x, y_j), with the uncertainty of that difference.

A baseline takes out of a reward what every response to the prompt shares. Baselines that the gate rejects do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.schemas.scoring import ScoreRequest
from app.scoring import bounds
from app.scoring.coefficients import CoefficientBatch, stack_items
from app.scoring.gatekeeping import GatedEngine
from app.settings import Settings
from elicitation.errors import InvalidInput
from reward_bases.reading_rule import ReadingRule
from reward_bases.text import Conversation


@dataclass(frozen=True, eq=False)
class Baseline:
    """Baseline of each row: mean ``rewards`` (n,) and their ``shares`` (n, K + 1), nats, and mean ``phi`` (n, K)."""

    rewards: Tensor
    shares: Tensor
    phi: Tensor


async def against(
    request: ScoreRequest,
    conversations: Sequence[Conversation],
    batch: CoefficientBatch,
    engine: GatedEngine,
    settings: Settings,
) -> Baseline:
    """The request's baselines of each row of ``batch``; without any, the reference mean: zeros."""
    n, k = len(conversations), batch.guarded.shape[1]
    if not request.contrastive:
        return Baseline(*(torch.zeros(*shape, dtype=torch.float64) for shape in ((n,), (n, k + 1), (n, k))))
    texts = await _texts(request, n, engine.reading, settings)
    owner = torch.arange(n).repeat_interleave(torch.tensor([len(row) for row in texts]))
    bounds.require_at_most("baseline responses over all rows", len(owner), "max_items", settings)
    items = await engine.items_of(
        [conversations[row] for row in owner.tolist()], [text for row in texts for text in row]
    )
    accepted = [(row, item) for row, item in zip(owner.tolist(), items, strict=True) if item.gate.passed]
    owner = torch.tensor([row for row, _ in accepted], dtype=torch.long)
    count = torch.bincount(owner, minlength=n)
    if not bool(count.all()):
        row = int((count == 0).nonzero()[0])
        raise InvalidInput(f"row {row} has no baseline that the gate accepts; send at least one real response for it")
    phi, passed = stack_items([item for _, item in accepted])
    own = batch.at(owner)
    rewards = torch.zeros(n, dtype=torch.float64).index_add(0, owner, own.rewards(phi, passed))
    shares = torch.zeros(n, k + 1, dtype=torch.float64).index_add(0, owner, own.shares(phi, passed))
    means = torch.zeros(n, k, dtype=torch.float64).index_add(0, owner, phi)
    return Baseline(rewards / count, shares / count[:, None], means / count[:, None])


async def _texts(request: ScoreRequest, rows: int, reading: ReadingRule, settings: Settings) -> list[list[str]]:
    """The baselines of each row as texts."""
    given = request.baselines if request.baseline is None else [request.baseline] * rows
    if given is None or len(given) != rows:
        raise InvalidInput(f"{len(given or ())} lists of baselines for {rows} completions; send one per completion")
    return [await bounds.responses(row, request.view, reading, settings) for row in given]
