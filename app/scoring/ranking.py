"""Order a set of candidates by a rule, and measure how far the rule leaves the aggregate on this very set.

    rule         value of a candidate                 chance of being picked
    mean         r_g                                  softmax(value/β)
    soft         r_g                                  softmax(value/β), and the order itself is drawn from it
    lcb          r_g − κ·std                          softmax(value/β)
    pessimistic  r_g − variance/(2β)                  softmax(value/β)
    brme         w·nominal + (1 − w)·min over heads   softmax(value/β)
    drro         r_g                                  the mixture of least worst regret within ℓ1 distance ρ

std and variance are of differences within the set; β is the client's KL temperature in nats. The chances are measured
against the aggregate's, softmax(r̄/β): KL in nats. Certifying mixes the aggregate's into them, as much as it takes.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from app.schemas.ranking import CurvePoint, RankRequest, RankRule
from elicitation.errors import InvalidInput
from safeguards.robust.best_of_n import best_of_n, drawn_order
from safeguards.robust.certificate import certified, divergence, without_excess_agreement
from safeguards.robust.regret import least_regret
from safeguards.robust.values import ensemble_nominal, lower_bound, pessimistic, spread


@dataclass(frozen=True, eq=False)
class Candidates:
    """Input of the rules: guarded ``rewards`` and ``aggregate`` rewards (n,), nats, which the gate ``passed`` (n,),
    ``phi`` (n, K) and by each of an ensemble of heads ``refits`` (n, S, K), and the person's guarded ``coefficients``
    (K,) with their ``covariance`` (K, K)."""

    rewards: Tensor
    aggregate: Tensor
    passed: Tensor
    phi: Tensor
    refits: Tensor
    coefficients: Tensor
    covariance: Tensor

    @property
    def accepted(self) -> "Candidates":
        """Without those that the gate rejected."""
        parts = {name: getattr(self, name)[self.passed] for name in ("rewards", "aggregate", "passed", "phi", "refits")}
        return replace(self, **parts)


@dataclass(frozen=True, eq=False)
class RankedSet:
    """Candidates' places, best first; their rule's ``values`` and ``probability`` (n,).

    A rejected one comes last, with value −∞ and probability 0.
    """

    order: list[int]
    values: Tensor
    probability: Tensor
    divergence: float
    alpha: float


def rank_set(request: RankRequest, candidates: Candidates, budget: float, generator: torch.Generator) -> RankedSet:
    """Rank by the request's rule, or with ``certify`` by its mixture with the aggregate within ``budget`` nats."""
    passed, accepted = candidates.passed, candidates.accepted
    values, chances = torch.full_like(candidates.rewards, -torch.inf), torch.zeros_like(candidates.rewards)
    if not bool(passed.any()):
        return RankedSet(list(range(len(passed))), values, chances, 0.0, 1.0)
    values[passed] = rule_values(request, accepted)
    log_aggregate = (accepted.aggregate / request.beta).log_softmax(0)
    free = _chances(request, values[passed], log_aggregate, passed)
    within, alpha = certified(free, log_aggregate, budget)
    served = within if request.certify else free
    chances[passed] = served
    # Candidates of equal chance are ordered by value, those of equal value as in the request.
    order = values.argsort(descending=True, stable=True)
    among = drawn_order(chances[order], generator) if request.rule is RankRule.SOFT else _falling(chances[order])
    return RankedSet(order[among].tolist(), values, chances, divergence(served, log_aggregate), alpha)


def curve_of(request: RankRequest, values: Tensor, rewards: Tensor) -> tuple[list[CurvePoint], int] | tuple[None, None]:
    """The reward of the best of n of all candidates, rejected ones at the floor, and the n that pays most; if asked."""
    if not request.curve:
        return None, None
    curve = best_of_n(values, rewards)
    pairs = enumerate(zip(curve.gain.tolist(), curve.divergence.tolist(), strict=True), 1)
    points = [CurvePoint(n=n, reward=gain, divergence=divergence) for n, (gain, divergence) in pairs]
    return points, curve.recommended(request.beta)


def rule_values(request: RankRequest, candidates: Candidates) -> Tensor:
    """The rule's value (n,) of every candidate, nats."""
    rewards, std = candidates.rewards, spread(candidates.phi, candidates.covariance)
    if request.rule is RankRule.LCB:
        return lower_bound(rewards, std, request.kappa)
    if request.rule is RankRule.PESSIMISTIC:
        return pessimistic(rewards, std, request.beta)
    if request.rule is RankRule.BRME:
        if not candidates.refits.shape[1]:
            raise InvalidInput(
                "rule 'brme' needs an ensemble of heads, of which this basis has 0; serve one from "
                "keel train --ensemble 3, or rank by another rule"
            )
        seeds = torch.cat([candidates.phi[:, None], candidates.refits], dim=1).transpose(0, 1)
        return ensemble_nominal(seeds, candidates.coefficients, candidates.covariance, request.nominal)
    return rewards


def _chances(request: RankRequest, values: Tensor, log_aggregate: Tensor, passed: Tensor) -> Tensor:
    chosen = least_regret(values, request.rho) if request.rule is RankRule.DRRO else (values / request.beta).softmax(0)
    if request.agreement is None:
        return chosen
    if len(request.agreement) != len(passed):
        raise InvalidInput(f"{len(request.agreement)} values of agreement for {len(passed)} candidates; send one each")
    return without_excess_agreement(chosen, log_aggregate, torch.tensor(request.agreement).bool()[passed])


def _falling(values: Tensor) -> Tensor:
    return values.argsort(descending=True, stable=True)
