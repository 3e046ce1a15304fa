"""Score, rank and compare: rows of φ times any number of people's guarded coefficients.

Rewards are in nats and constant per profile version: nothing of the batch enters them, not even by rounding, because
every row is multiplied and summed on its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from app import bounds
from app.engine import Engine, Item
from app.profiles import Profile, Profiles
from app.ranking import rank_set, rule_values
from app.schemas import (
    CompareReply,
    CompareRequest,
    DetailReply,
    GateReply,
    RankedReply,
    RankReply,
    RankRequest,
    RankRule,
    ScoreReply,
    ScoreRequest,
    Text,
)
from app.settings import Settings
from app.store import PersonKey, Store
from elicitation.errors import InvalidInput
from elicitation.population import Component
from elicitation.posterior import Posterior
from elicitation.predict import predict
from safeguards.score import bounded

OUT_OF_DOMAIN = "out_of_domain"


@dataclass(frozen=True, eq=False)
class Table:
    """U people's constants, and for each of n rows which person it belongs to: ``rows`` (n,).

    ``guarded`` and ``mean`` (U, K), ``covariance`` (U, K, K), ``std``, ``floor`` and ``lowest`` (U,).
    """

    rows: Tensor
    guarded: Tensor
    mean: Tensor
    covariance: Tensor
    std: Tensor
    floor: Tensor
    lowest: Tensor

    @classmethod
    def of(cls, profiles: Sequence[Profile], rows: Sequence[int]) -> "Table":
        scales = torch.tensor([(p.scale.std, p.scale.floor, p.scale.lowest) for p in profiles], dtype=torch.float64)
        return cls(
            torch.tensor(rows),
            torch.stack([profile.guarded.coefficients for profile in profiles]),
            torch.stack([profile.posterior.mean for profile in profiles]),
            torch.stack([profile.guarded.covariance for profile in profiles]),
            *scales.unbind(1),
        )

    def rewards(self, phi: Tensor, passed: Tensor) -> Tensor:
        """Guarded rewards (n,) of φ (n, K): the floor where the gate rejected, never below the lowest elsewhere."""
        reward = (phi * self.guarded[self.rows]).sum(-1)
        return torch.where(passed, torch.maximum(reward, self.lowest[self.rows]), self.floor[self.rows])

    def scores(self, rewards: Tensor) -> Tensor:
        """The same rewards between 0 and 1."""
        return bounded(rewards / self.std[self.rows])

    def stds(self, phi: Tensor, passed: Tensor) -> Tensor:
        """Standard deviations (n,) against the reference mean; the floor is certain."""
        variance = torch.einsum("nk,nkl,nl->n", phi, self.covariance[self.rows], phi)
        return torch.where(passed, variance.clamp_min(0).sqrt(), 0.0)


class Scoring:
    """The use cases that turn texts into numbers."""

    def __init__(self, settings: Settings, store: Store, engine: Engine, profiles: Profiles) -> None:
        self._settings, self._store, self._engine, self._profiles = settings, store, engine, profiles

    async def score(self, tenant_id: str, request: ScoreRequest, people: Sequence[str | None]) -> ScoreReply:
        """``people`` names one person per row, or None for the aggregate."""
        self._require_parallel(request, people)
        conversations = bounds.conversations(request.prompts, self._settings)
        responses = [bounds.response(completion, self._settings) for completion in request.completions]
        distinct = {name: place for place, name in enumerate(dict.fromkeys(people))}
        profiles = await self._of(tenant_id, list(distinct), request.profile_version, request.basis_version)
        items = await self._engine.score(conversations, responses)
        table = Table.of(profiles, [distinct[name] for name in people])
        phi, passed = stacked(items)
        rewards = table.rewards(phi, passed)
        return ScoreReply(
            rewards=rewards.tolist(),
            scores=table.scores(rewards).tolist(),
            basis_version=self._engine.artifact.basis.version,
            profile_versions={name: p.version for name, p in zip(distinct, profiles, strict=True) if name is not None},
            details=self._details(items, table, rewards) if request.detail else None,
        )

    async def rank(self, tenant_id: str, request: RankRequest, user_id: str | None) -> RankReply:
        """Order candidates by a rule, with the divergence of their choice probabilities from the aggregate's."""
        bounds.require_at_most("candidates", len(request.candidates), "max_candidates", self._settings)
        profile, items = await self._one(tenant_id, request, user_id, request.candidates)
        phi, passed = stacked(items)
        table = Table.of([profile], [0] * len(items))
        rewards = table.rewards(phi, passed)
        aggregate = (phi * self._profiles.artifact.population.mean).sum(-1)
        values = rule_values(request.rule, rewards, phi, passed, profile.guarded.covariance)
        budget = self._profiles.budget.divergence
        ranking = await asyncio.to_thread(rank_set, values, aggregate, passed, budget, request.certify)
        scores, probability = table.scores(rewards).tolist(), ranking.probability.tolist()
        results = [RankedReply(index=i, score=scores[i], probability=probability[i]) for i in ranking.order]
        return RankReply(
            results=results[: request.top_n],
            set_divergence=ranking.divergence,
            set_alpha=ranking.alpha,
            outside_guard=request.rule is not RankRule.MEAN and ranking.divergence > budget,
            best=ranking.order[0] if bool(passed.any()) else None,
            basis_version=self._engine.artifact.basis.version,
            profile_version=None if user_id is None else profile.version,
        )

    async def compare(self, tenant_id: str, request: CompareRequest, user_id: str | None) -> CompareReply:
        """Predict the choice between two responses with the guarded coefficients."""
        profile, items = await self._one(tenant_id, request, user_id, [request.a, request.b])
        phi, passed = stacked(items)
        model = replace(self._profiles.artifact.choice_model, side_bias=0.0)
        if bool(passed.all()):
            p = predict(_guarded_posterior(profile), model, (phi[0] - phi[1])[None])[0]
        else:
            rewards = Table.of([profile], [0, 0]).rewards(phi, passed)
            p = model.probabilities(rewards[0] - rewards[1], profile.posterior.consistency)
        p_a, p_same, p_b = p.tolist()
        return CompareReply(p_a=p_a, p_b=p_b, p_same=p_same)

    async def _one(
        self, tenant_id: str, request: RankRequest | CompareRequest, user_id: str | None, responses: Sequence[Text]
    ) -> tuple[Profile, list[Item]]:
        """The profile of one person, and the items of responses to one prompt."""
        conversation = bounds.conversation(request.prompt, self._settings)
        texts = [bounds.response(response, self._settings) for response in responses]
        profiles = await self._of(tenant_id, [user_id], request.profile_version, request.basis_version)
        return profiles[0], await self._engine.score([conversation] * len(texts), texts)

    async def _of(
        self, tenant_id: str, people: Sequence[str | None], profile_version: str | None, basis_version: str | None
    ) -> list[Profile]:
        """The profiles of distinct people, in their order; None is the aggregate."""
        self._profiles.require_basis(basis_version)
        names = [name for name in people if name is not None]
        persons = await self._store.find([PersonKey(tenant_id, name) for name in names])
        if profile_version is not None:
            if len(people) != 1 or not persons:
                raise InvalidInput(f"profile_version pins one person, and {len(names)} are named; name exactly one")
            return [await self._profiles.pinned(persons[0], profile_version)]
        known = {person.key.user_id: await self._profiles.of(person) for person in persons}
        return [self._profiles.aggregate if name is None else known[name] for name in people]

    def _require_parallel(self, request: ScoreRequest, people: Sequence[str | None]) -> None:
        n = len(request.completions)
        for what, number in (("prompts", len(request.prompts)), ("user_ids", len(people))):
            if number != n:
                raise InvalidInput(f"{number} {what} for {n} completions; send one {what[:-1]} per completion")
        bounds.require_at_most("completions", n, "max_items", self._settings)
        bounds.require_at_most("distinct people", len(set(people)), "max_people", self._settings)

    def _details(self, items: Sequence[Item], table: Table, rewards: Tensor) -> list[DetailReply]:
        phi, passed = stacked(items)
        artifact = self._profiles.artifact
        columns = (
            items,
            rewards.tolist(),
            table.stds(phi, passed).tolist(),
            (phi * artifact.population.mean).sum(-1).tolist(),
            (phi * table.mean[table.rows]).sum(-1).tolist(),
            (phi * table.guarded[table.rows]).tolist(),
        )
        return [_detail(artifact.basis.names, *row) for row in zip(*columns, strict=True)]


def stacked(items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """φ (n, K) and which responses the gate let through (n,)."""
    return torch.stack([item.phi for item in items]), torch.tensor([item.gate.passed for item in items])


def _detail(
    names: Sequence[str], item: Item, reward: float, std: float, aggregate: float, raw: float, shares: Sequence[float]
) -> DetailReply:
    passed = item.gate.passed
    return DetailReply(
        mean=reward,
        std=std,
        lcb=reward - std,
        aggregate=aggregate if passed else None,
        raw=raw if passed else None,
        guarded=reward,
        gate=GateReply(passed=passed, reasons=item.gate.reasons),
        flags=[] if item.in_domain else [OUT_OF_DOMAIN],
        heads=dict(zip(names, shares, strict=True)) if passed else {},
    )


def _guarded_posterior(profile: Profile) -> Posterior:
    """What the guard lets through, as a belief about λ; κ stays the person's."""
    guarded = profile.guarded
    component = Component(1.0, guarded.coefficients, guarded.covariance)
    return Posterior((component,), profile.posterior.log_consistency)
