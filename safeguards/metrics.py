"""Effects of personal rewards on served candidates: metrics 1, 2, 3, 5, 6, 8 and 10 of the audit.

Each function gives one value per person, or per choice, from the people's coefficients (U, K), the aggregate λ̄ (K,) and
the reference set (P prompts, n responses); ``safeguards.audit`` averages, bootstraps and judges them. A "pick" is the
first-ranked of a prompt's n reference responses, a list its first TOP_K.

* fragmentation as in RADio (Vrijenhoek et al. 2022): √JSD, base 2, of rank weights 1/rank over the two lists, each
  mixed with α = 0.001 of the other, so that disjoint lists come out just under 1.
* calibration error: expected calibration error over 10 equal bins of the probability of the likeliest choice.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from elicitation.statistics import bin_of
from safeguards.guard import Reference

TOP_K = 4
COSTLY_SD = 0.5  # of the aggregate reward within a prompt
MIXING = 0.001
PARTNERS = 16  # others a person is compared with; all of them when there are no more
BINS = 10


@dataclass(frozen=True, eq=False)
class Predictions:
    """Held-out choices: probabilities (N, 3) of left, same, right; chosen index (N,); person index (N,); cohorts (N).

    ``aggregate`` and ``random`` (N, 3) are the predictions of the two nulls for the same choices, where known.
    """

    probabilities: Tensor
    chosen: Tensor
    person: Tensor
    cohorts: tuple[str, ...]
    aggregate: Tensor | None = None
    random: Tensor | None = None

    def __post_init__(self) -> None:
        n = len(self.chosen)
        if not len(self.person) == len(self.cohorts) == n:
            raise InvalidInput(
                f"{n} choices, {len(self.person)} persons and {len(self.cohorts)} cohorts must be as many"
            )
        for rows in (self.probabilities, self.aggregate, self.random):
            if rows is not None and rows.shape != (n, 3):
                raise InvalidInput(f"probabilities have shape {tuple(rows.shape)}; {n} choices need ({n}, 3)")

    def of(self, cohort: str) -> "Predictions":
        """The choices of one cohort."""
        keep = torch.tensor([name == cohort for name in self.cohorts], dtype=torch.bool)
        aggregate, random = (None if rows is None else rows[keep] for rows in (self.aggregate, self.random))
        names = (cohort,) * int(keep.sum())
        return Predictions(self.probabilities[keep], self.chosen[keep], self.person[keep], names, aggregate, random)


def rewards(people: Tensor, reference: Reference) -> Tensor:
    """Prompt-centred rewards (U, P, n), in nats, of people (U, K)."""
    return torch.einsum("uk,pnk->upn", people, reference.centred)


def flips(people: Tensor, aggregate: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
    """Shares of prompts (U,), (U,): any best-of-n flip, and flips costing more than 0.5 SD of aggregate reward."""
    common = rewards(aggregate[None], reference)[0]
    cost = _cost_of_picks(rewards(people, reference), common)
    limit = COSTLY_SD * float(reference.within_sd(aggregate))
    return (cost > 0).double().mean(dim=1), (cost > limit).double().mean(dim=1)


def common_ground_lost(people: Tensor, aggregate: Tensor, reference: Reference) -> Tensor:
    """Share of prompts (U,) whose pick lies outside the aggregate's top quartile; ties count as inside."""
    common = rewards(aggregate[None], reference)[0]
    quartile = max(common.shape[1] // 4, 1)
    cost_of_quartile = common.amax(dim=1) - common.topk(quartile, dim=1).values[:, -1]
    cost = _cost_of_picks(rewards(people, reference), common)
    return (cost > cost_of_quartile).double().mean(dim=1)


def truth_gap(people: Tensor, aggregate: Tensor, reference: Reference, truth: int) -> Tensor:
    """Mean truth (head ``truth``, spreads) of the aggregate's picks minus that of a person's (U,)."""
    picks = rewards(torch.cat([aggregate[None], people]), reference).argmax(dim=2)
    told = reference.centred[torch.arange(picks.shape[1]), picks, truth].mean(dim=1)
    return told[0] - told[1:]


def fragmentation(people: Tensor, reference: Reference, generator: torch.Generator, top_k: int = TOP_K) -> Tensor:
    """Mean √JSD (U,) of each person's list to those of others: of all others, or of PARTNERS drawn ones.

    Raises InvalidInput for fewer than two people.
    """
    count = len(people)
    if count < 2:
        raise InvalidInput(f"fragmentation compares people; {count} < 2 given")
    own = rewards(people, reference)
    weights = list_weights(own.topk(min(top_k, own.shape[2]), dim=2).indices, own.shape[2])
    shifts = torch.arange(1, count)
    if len(shifts) > PARTNERS:
        shifts = shifts[torch.randperm(len(shifts), generator=generator)[:PARTNERS]]
    order = torch.randperm(count, generator=generator)
    weights = weights[order]
    distances = torch.stack([root_jsd(weights, weights.roll(int(shift), dims=0)).mean(dim=1) for shift in shifts])
    values = torch.empty(count, dtype=weights.dtype)
    values[order] = distances.mean(dim=0)
    return values


def diversity_ratio(people: Tensor, reference: Reference, top_k: int = TOP_K) -> Tensor:
    """Mean φ distance between the responses of a list over that of the whole pool (U,); nan if the pool has none."""
    distances = torch.cdist(reference.phi, reference.phi)
    n = distances.shape[1]
    k = min(top_k, n)
    top = rewards(people, reference).topk(k, dim=2).indices
    prompts = torch.arange(len(distances))[None, :, None, None]
    within = distances[prompts, top[..., :, None], top[..., None, :]].sum(dim=(2, 3)) / max(k * (k - 1), 1)
    pool = distances.sum(dim=(1, 2)) / (n * (n - 1))
    return within.mean(dim=1) / pool.mean()


def best_of_draws(own: Tensor, draws: int) -> Tensor:
    """Chance (…, n) of each candidate to be the best of ``draws`` draws with replacement, from rewards (…, n).

    Exact: the one of rank i from below has (i/n)^N − ((i−1)/n)^N.
    """
    n = own.shape[-1]
    ranks = torch.arange(n + 1, dtype=own.dtype) / n
    return (ranks**draws).diff()[own.argsort(dim=-1).argsort(dim=-1)]


def calibration_error(probabilities: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    """Expected calibration error of choices: probabilities (N, 3), chosen (N,), weights of choices (…, N) -> (…)."""
    confidence, predicted = probabilities.max(dim=1)
    gap = (predicted == chosen).to(confidence.dtype) - confidence
    # Weights are of choices and come first: sums by person would differ in the last digit from reports kept so far.
    members = torch.nn.functional.one_hot(bin_of(confidence, BINS), BINS).to(confidence.dtype)
    return ((weights * gap) @ members).abs().sum(dim=-1) / weights.sum(dim=-1)


def random_people(
    people: Tensor, aggregate: Tensor, reference: Reference, free: Tensor, generator: torch.Generator
) -> Tensor:
    """The random null (U, K): each person's deviation replaced by a random one of the same within-prompt reward SD.

    Only ``free`` heads, bool (K,), deviate.
    """
    noise = torch.randn(people.shape, dtype=people.dtype, generator=generator) * free
    smallest = torch.finfo(people.dtype).tiny
    size: Tensor = reference.within_sd(people - aggregate) / reference.within_sd(noise).clamp_min(smallest)
    return aggregate + size[:, None] * noise


def _cost_of_picks(own: Tensor, common: Tensor) -> Tensor:
    """Aggregate reward (nats) lost by picking with own (U, P, n) instead of common (P, n) -> (U, P)."""
    picked = common.expand_as(own).gather(2, own.argmax(dim=2, keepdim=True)).squeeze(2)
    return common.amax(dim=1) - picked


def list_weights(order: Tensor, count: int) -> Tensor:
    """Rank weights 1/rank of a list (…, k) of places, normalised over the list, by place (…, count)."""
    weights = 1 / torch.arange(1, order.shape[-1] + 1, dtype=torch.float64)
    by_place = torch.zeros(*order.shape[:-1], count, dtype=torch.float64)
    return by_place.scatter(-1, order, (weights / weights.sum()).expand(order.shape))


def root_jsd(p: Tensor, q: Tensor) -> Tensor:
    """√JSD (…), base 2, of distributions (…, n), each mixed with MIXING of the other."""
    p, q = (1 - MIXING) * p + MIXING * q, (1 - MIXING) * q + MIXING * p
    middle = (p + q) / 2
    divergence: Tensor = (torch.special.xlogy(p, p) + torch.special.xlogy(q, q)) / 2 - torch.special.xlogy(
        middle, middle
    )
    return (divergence.sum(dim=-1) / math.log(2)).clamp_min(0).sqrt()
