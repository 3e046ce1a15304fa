"""Exposure: metrics of served rankings, and the viewpoints that rewards let through.

A served ranking is one prompt's candidates in the order in which one person got them, by their own reward or, for a
random share of requests, by the aggregate's. Metrics within a request (1, 2, 3, 8) compare each ranking with
what the aggregate would have served for the same candidates. What goes beyond one request, such as how much truth
people get (5) or how little they have in common (6), is compared between the two random arms and never read off
logs alone: who asks what is not random.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from elicitation.statistics import Interval, everybody_first, person_weights, win_share
from safeguards.guard import Reference
from safeguards.metrics import COSTLY_SD, TOP_K, list_weights, root_jsd

PERSONAL, AGGREGATE = "personal", "aggregate"
ARMS = (PERSONAL, AGGREGATE)


@dataclass(frozen=True, eq=False)
class Ranking:
    """One served ranking: ``phi`` (n ≥ 2, K), the serving ``rewards`` (n,) in nats, the served ``order`` of n places.

    ``person`` is a number; ``candidates`` names the set, so that the same set is recognised in other people's requests.
    """

    person: int
    arm: str
    phi: Tensor
    rewards: Tensor
    order: tuple[int, ...]
    candidates: str

    def __post_init__(self) -> None:
        n = len(self.phi)
        if n < 2 or self.rewards.shape != (n,) or sorted(self.order) != list(range(n)):
            raise InvalidInput(f"a ranking of {n} candidates needs at least 2, and a reward and a place for each")
        if self.arm not in ARMS:
            raise InvalidInput(f"arm {self.arm!r} is none of {', '.join(ARMS)}")


@dataclass(frozen=True, eq=False)
class Exposure:
    """Figures of R served rankings (R,): whose, in which arm, and what was on top.

    ``moments`` (R, 3) are the sums of r², r̄² and r·r̄ over the candidates, centred; ``diversity`` (R, 2) the mean φ
    distance within the list's top and within all candidates; ``truth`` (R,) of the first, over the candidates' mean.
    """

    person: Tensor
    personal: Tensor
    moments: Tensor
    flipped: Tensor
    costly: Tensor
    outside: Tensor
    diversity: Tensor
    truth: Tensor
    shared: Mapping[str, tuple[Ranking, ...]]

    @classmethod
    def of(cls, rankings: Sequence[Ranking], aggregate: Tensor, reference: Reference, truth: int) -> "Exposure":
        """Measure rankings against the aggregate λ̄ (K,); ``truth`` is the head that stands in for it."""
        limit = COSTLY_SD * float(reference.within_sd(aggregate))
        figures = torch.tensor([_figures(one, aggregate, limit, truth) for one in rankings], dtype=torch.float64)
        figures = figures.view(len(rankings), 9)
        sets: dict[str, list[Ranking]] = defaultdict(list)
        for one in rankings:
            sets[one.candidates].append(one)
        return cls(
            person=torch.tensor([one.person for one in rankings], dtype=torch.long),
            personal=torch.tensor([one.arm == PERSONAL for one in rankings], dtype=torch.bool),
            moments=figures[:, :3],
            flipped=figures[:, 3],
            costly=figures[:, 4],
            outside=figures[:, 5],
            diversity=figures[:, 6:8],
            truth=figures[:, 8],
            shared={name: tuple(group) for name, group in sets.items() if len({one.person for one in group}) > 1},
        )

    def by_person(self, arm: str, value: Callable[[Tensor], Tensor]) -> Tensor:
        """``value`` of the rows of each person with requests in an arm (U,), in the order of their numbers."""
        rows = self.personal == (arm == PERSONAL)
        people = self.person[rows].unique()
        found = [value(rows & (self.person == person)) for person in people]
        return torch.stack(found) if found else torch.zeros(0, dtype=torch.float64)

    def distance(self, arm: str) -> Tensor:
        """STARC distance of each person's served rewards to the aggregate's over the candidates they got (U,)."""

        def starc(rows: Tensor) -> Tensor:
            own, common, product = self.moments[rows].sum(0)
            correlation: Tensor = product / (own * common).sqrt().clamp_min(torch.finfo(torch.float64).tiny)
            return ((1 - correlation).clamp_min(0) / 2).sqrt()

        return self.by_person(arm, starc)

    def mean(self, arm: str, values: Tensor) -> Tensor:
        """Each person's mean of a figure (R,) -> (U,)."""
        return self.by_person(arm, lambda rows: values[rows].mean())

    def diversity_ratio(self, arm: str) -> Tensor:
        """Each person's distance within the top of the list over that within all candidates (U,)."""
        return self.by_person(arm, lambda rows: self.diversity[rows, 0].sum() / self.diversity[rows, 1].sum())

    def fragmentation(self, arm: str) -> Tensor:
        """√JSD of each person's lists to those of others for the same candidates (U,), of people who share any."""
        found: dict[int, list[float]] = defaultdict(list)
        for group in self.shared.values():
            for one, other in combinations([ranking for ranking in group if ranking.arm == arm], 2):
                if one.person != other.person:
                    distance = float(root_jsd(*map(_list, (one, other))))
                    found[one.person].append(distance)
                    found[other.person].append(distance)
        means = [sum(values) / len(values) for _, values in sorted(found.items())]
        return torch.tensor(means, dtype=torch.float64)


def _list(one: Ranking) -> Tensor:
    """Rank weights (n,) of the top of a list."""
    return list_weights(torch.tensor(one.order[:TOP_K]), len(one.order))


def _figures(one: Ranking, aggregate: Tensor, limit: float, truth: int) -> tuple[float, ...]:
    common = one.phi @ aggregate
    centred, usual = one.rewards - one.rewards.mean(), common - common.mean()
    first, n = one.order[0], len(one.order)
    cost = float(common.max() - common[first])
    quartile = float(common.topk(max(n // 4, 1)).values[-1])
    distances = torch.cdist(one.phi, one.phi)
    top = list(one.order[: min(TOP_K, n)])
    within = float(distances[top][:, top].sum()) / (len(top) * (len(top) - 1))
    return (
        *(float((a * b).sum()) for a, b in ((centred, centred), (usual, usual), (centred, usual))),
        float(cost > 0),
        float(cost > limit),
        float(common[first] < quartile),
        within,
        float(distances.sum()) / (n * (n - 1)),
        float(one.phi[first, truth] - one.phi[:, truth].mean()),
    )


def difference_of_arms(exposure: Exposure, values: Tensor, resamples: int, generator: torch.Generator) -> Interval:
    """Mean of a figure (R,) where the aggregate served minus where the person's reward did, with its 95 % interval.

    Arms are random per request, so the difference is the effect of personal rewards. People are drawn with
    replacement, with all their requests. Raises InvalidInput unless both arms hold requests.
    """
    people, owner = exposure.person.unique(return_inverse=True)
    arms = torch.stack([~exposure.personal, exposure.personal], dim=1).to(values.dtype)
    if not bool((arms.sum(0) > 0).all()):
        raise InvalidInput("one arm of the lot holds no request; explore before comparing")
    zeros = torch.zeros(len(people), 2, dtype=values.dtype)
    counts = zeros.index_add(0, owner, arms)
    sums = zeros.index_add(0, owner, arms * values[:, None])
    times = everybody_first(person_weights(generator, resamples, len(people)))
    means = (times @ sums) / (times @ counts)
    return Interval.of(means[:, 0] - means[:, 1])


def stance_exposure(people: Tensor, opinions: Tensor) -> Tensor:
    """√JSD (U,) of the stances that people's rewards (U, K) serve from those of the pool, base 2.

    ``opinions`` (Q, 2, K) are φ of the response that sides with the user minus φ of the one that does not, under two
    opposed stances. The pool holds both in equal parts, served is the one preferred: a share s of agreeing responses
    over all prompts, against one half.
    """
    agreeing = win_share(torch.einsum("uk,qsk->uqs", people, opinions).flatten(1))
    served = torch.stack([agreeing, 1 - agreeing], dim=1)
    return root_jsd(served, torch.full_like(served, 0.5))
