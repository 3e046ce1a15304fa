"""One reward taken apart: what is said of it beside its value."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from app.schemas.messages import Text, flagged
from app.schemas.scoring import DetailReply, GateReply, ScoreRequest
from app.scoring.coefficients import CoefficientBatch, stack_items
from app.scoring.contrast import Baseline
from app.scoring.engine import Item
from elicitation.anchors import preferred
from reward_bases.artifact import Artifact
from reward_bases.basis import Basis
from safeguards.robust.values import lower_bound, pessimistic

OUT_OF_DOMAIN = "out_of_domain"
GATE = "gate"
"""The component beside the heads: the floor reward of what the gate rejects, so that components sum to the reward."""


def component_names(basis: Basis) -> list[str]:
    """The columns of ``CoefficientBatch.shares``."""
    return [*basis.names, GATE]


def flags(request: ScoreRequest) -> list[list[str]] | None:
    """The flags of each completion; None where all was read."""
    found = [flagged(*texts) or [] for texts in _read_for(request)]
    return found if any(found) else None


def _read_for(request: ScoreRequest) -> Iterator[tuple[Text, ...]]:
    """The texts that the reward of each completion depends on."""
    own = request.baselines or [request.baseline or []] * len(request.completions)
    for prompt, completion, baseline in zip(request.prompts, request.completions, own, strict=True):
        yield (prompt, completion, *baseline)


def details(
    request: ScoreRequest,
    items: Sequence[Item],
    batch: CoefficientBatch,
    baseline: Baseline,
    artifact: Artifact,
    noise: Sequence[float | None],
) -> list[DetailReply]:
    """A detail for every row of ``batch``; ``noise`` are its people's standard deviations of verdicts, if known."""
    phi, passed = stack_items(items)
    guarded = batch.rewards(phi, passed)
    mean, std = guarded - baseline.rewards, batch.stds(phi - baseline.phi, passed)
    own = [noise[person] for person in batch.rows.tolist()]
    columns = (
        items,
        mean.tolist(),
        std.tolist(),
        lower_bound(mean, std, request.kappa).tolist(),
        pessimistic(mean, std, request.beta).tolist(),
        guarded.tolist(),
        (phi * artifact.population.mean).sum(-1).tolist(),
        (phi * batch.mean[batch.rows]).sum(-1).tolist(),
        (phi * batch.guarded[batch.rows]).tolist(),
        own,
        _preferred(mean, std, own, request),
        flags(request) or [[]] * len(items),
    )
    return [_detail(artifact.basis.names, *row) for row in zip(*columns, strict=True)]


def _preferred(mean: Tensor, std: Tensor, noise: Sequence[float | None], request: ScoreRequest) -> list[float | None]:
    """The chance (n,) of being preferred to the baseline, where there is one and the person's ``noise`` is known."""
    if not request.contrastive:
        return [None] * len(noise)
    return [
        None if own is None else float(preferred(difference, spread**2, own))
        for difference, spread, own in zip(mean, std, noise, strict=True)
    ]


def _detail(
    names: Sequence[str],
    item: Item,
    mean: float,
    std: float,
    lcb: float,
    pessimistic: float,
    guarded: float,
    aggregate: float,
    raw: float,
    shares: Sequence[float],
    noise: float | None,
    preferred: float | None,
    flags: Sequence[str],
) -> DetailReply:
    passed = item.gate.passed
    return DetailReply(
        mean=mean,
        std=std,
        lcb=lcb,
        pessimistic=pessimistic,
        epistemic=std,
        aleatoric=noise,
        preferred=preferred,
        aggregate=aggregate if passed else None,
        raw=raw if passed else None,
        guarded=guarded,
        gate=GateReply(passed=passed, reasons=item.gate.reasons),
        flags=[*([] if item.in_domain else [OUT_OF_DOMAIN]), *flags],
        heads=dict(zip(names, shares, strict=True)) if passed else {},
    )
