"""Score, rank and compare: rows of φ times any number of people's guarded coefficients.

Rewards are in nats and constant per profile version: nothing of the batch enters them, not even by rounding, because
every row is multiplied and summed on its own.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from app.observing.measured import stage
from app.observing.metrics import count_served
from app.profiles.profiles import Profile, Profiles
from app.schemas.base import SEED_END
from app.schemas.messages import Completion, flagged
from app.schemas.ranking import JudgedReply, PickedReply, RankedReply, RankReply, RankRequest
from app.schemas.scoring import CompareReply, CompareRequest, DetailReply, MaskedReply, ScoreReply, ScoreRequest
from app.scoring import bounds
from app.scoring.coefficients import CoefficientBatch, stack_items
from app.scoring.contrast import Baseline, against
from app.scoring.details import component_names, details, flags
from app.scoring.engine import Engine, Item
from app.scoring.gatekeeping import Gatekeeper
from app.scoring.masking import judged
from app.scoring.picking import Picking
from app.scoring.ranking import Candidates, curve_of, rank_set
from app.scoring.reward_cache import RewardCache
from app.scoring.rubrics import load_rubrics
from app.scoring.traffic import Traffic
from app.scoring.variation import variation
from app.settings import Settings
from app.storage.store import Person, PersonKey, Store
from elicitation.errors import InvalidInput
from elicitation.predict import predict
from reward_bases.reading_rule import View
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation
from safeguards.conciseness import concise, conciseness
from safeguards.shaping import shaped


class Scoring:
    """The use cases that turn texts into numbers."""

    def __init__(self, settings: Settings, store: Store, engine: Engine, profiles: Profiles) -> None:
        self._settings, self._store, self._engine, self._profiles = settings, store, engine, profiles
        self._gatekeeper = Gatekeeper(store.appeals, load_rubrics(settings.rubrics))
        self._traffic = Traffic(settings, store)
        self._reward_cache = RewardCache()
        self._picking = Picking(engine, self._gatekeeper)

    async def score(self, tenant_id: str, request: ScoreRequest, people: Sequence[str | None]) -> ScoreReply:
        """``people`` names one person per row, or None for the aggregate.

        Raises PairsFailed where a source cannot judge a row.
        """
        self._require_parallel(request, people)
        conversations = bounds.conversations(request.prompts, self._settings)
        responses = await self._responses(request.completions, request.view)
        distinct = {name: place for place, name in enumerate(dict.fromkeys(people))}
        profiles = await self._of(tenant_id, list(distinct), pins(request, people), request.basis_version)
        engine = self._gatekeeper.engine(self._engine, tenant_id)
        items = await engine.items_of(conversations, responses)
        served = {name: p.version for name, p in zip(distinct, profiles, strict=True) if name is not None}
        bindings = [self._binding(profile) for profile in profiles]
        count_served(bindings[distinct[name]] for name in people)
        if request.plain:
            with stage("reward"):
                cached = self._reward_cache.of([profiles[distinct[name]] for name in people], items)
                shares = None
                if request.components:
                    batch = CoefficientBatch.of(profiles, [distinct[name] for name in people])
                    shares = batch.shares(*stack_items(items))
            return ScoreReply(
                rewards=[one.reward for one in cached],
                scores=[one.score for one in cached],
                basis_version=self._engine.artifact.basis.version,
                profile_versions=served,
                components=self._components(shares),
                flags=flags(request),
            )
        mixed = [self._profiles.model.mixed(profile, request.mix) for profile in profiles]
        batch = CoefficientBatch.of(mixed, [distinct[name] for name in people])
        phi, passed = stack_items(items)
        baseline = await against(request, conversations, batch, engine, self._settings)
        with stage("reward"):
            rewards = batch.rewards(phi, passed) - baseline.rewards
            if request.conciseness:
                protected = self._profiles.artifact.population.mean * self._profiles.policy.protected
                worth = (phi * protected).sum(-1) * passed
                rewards = concise(rewards, worth, conciseness(await self._engine.read(responses)), request.conciseness)
            spread, groups = batch.std[batch.rows], grouped(conversations, people)
            shown = shaped(rewards, spread, groups, request.normalize, request.bounded).tolist()
        return ScoreReply(
            rewards=shown,
            scores=batch.scores(rewards).tolist(),
            basis_version=self._engine.artifact.basis.version,
            profile_versions=served,
            details=await self._details(tenant_id, request, items, batch, baseline, distinct, profiles),
            components=self._components(batch.shares(phi, passed) - baseline.shares if request.components else None),
            flags=flags(request),
        )

    async def masked(
        self, tenant_id: str, request: ScoreRequest, people: Sequence[str | None]
    ) -> ScoreReply | MaskedReply:
        """As ``score``, with null in rows that a source cannot judge."""
        self._require_parallel(request, people)
        conversations = bounds.conversations(request.prompts, self._settings)
        read = await self._engine.read(await self._responses(request.completions, request.view))
        digests = [Pair(*row).digest for row in zip(conversations, read, strict=True)]
        found = await judged(request, people, digests, partial(self.score, tenant_id))
        if found.reply is None:
            distinct = list(dict.fromkeys(people))
            profiles = await self._of(tenant_id, distinct, pins(request, people), request.basis_version)
            named = zip(distinct, profiles, strict=True)
            versions = {name: profile.version for name, profile in named if name is not None}
            return found.empty(self._engine.artifact.basis.version, versions)
        return found.widened(found.reply) if found.failed else found.reply

    async def rank(self, tenant_id: str, request: RankRequest, user_id: str | None) -> RankReply:
        """Order candidates by a rule, with the divergence of their choice probabilities from the aggregate's."""
        bounds.require_at_most("candidates", len(request.candidates), "max_candidates", self._settings)
        profile, items = await self._one(tenant_id, request, user_id, request.candidates)
        phi, passed = stack_items(items)
        arm = await self._traffic.arm(tenant_id, user_id, request, profile)
        serving = self._profiles.aggregate if arm == "aggregate" else profile
        count_served([self._binding(serving)] * len(items))
        batch = CoefficientBatch.of([serving], [0] * len(items))
        rewards = batch.rewards(phi, passed)
        aggregate = (phi * self._profiles.artifact.population.mean).sum(-1)
        parts = (serving.guarded.coefficients, serving.guarded.covariance)
        candidates = Candidates(rewards, aggregate, passed, phi, torch.stack([item.refits for item in items]), *parts)
        budget, seed = self._profiles.policy.budget.divergence, request.seed
        generator = torch.Generator().manual_seed(secrets.randbelow(SEED_END) if seed is None else seed)
        with stage("reward"):
            ranking = await asyncio.to_thread(rank_set, request, candidates, budget, generator)
        scores, probability = batch.scores(rewards).tolist(), ranking.probability.tolist()
        unread = [flagged(request.prompt, candidate) for candidate in request.candidates]
        results = [
            RankedReply(index=i, score=scores[i], probability=probability[i], flags=unread[i]) for i in ranking.order
        ]
        basis_version = self._engine.artifact.basis.version
        logged = (phi, rewards, passed)
        await self._traffic.keep(tenant_id, user_id, request, profile, arm, logged, ranking.order, basis_version)
        curve, recommended = curve_of(request, ranking.values, rewards)
        return RankReply(
            results=results[: request.top_n],
            set_divergence=ranking.divergence,
            set_alpha=ranking.alpha,
            outside_guard=not request.covered and ranking.divergence > budget,
            best=ranking.order[0] if bool(passed.any()) else None,
            curve=curve,
            recommended_n=recommended,
            served_by=arm,
            basis_version=basis_version,
            profile_version=None if user_id is None else profile.version,
        )

    async def pick(self, tenant_id: str, request: RankRequest, user_id: str | None) -> PickedReply:
        """The best candidate, where slow sources are asked only while that may change it."""
        bounds.require_at_most("candidates", len(request.candidates), "max_candidates", self._settings)
        profile, conversation, texts = await self._asked(tenant_id, request, user_id, request.candidates)
        picked = await self._picking.pick(tenant_id, conversation, texts, profile.guarded.coefficients, request.doubt)
        count_served([self._binding(profile)] * len(picked.judged))
        places = sorted(picked.judged)
        batch = CoefficientBatch.of([profile], [0] * len(places))
        rewards = batch.rewards(*stack_items([picked.judged[place] for place in places]))
        scores, order = batch.scores(rewards).tolist(), rewards.argsort(descending=True, stable=True).tolist()
        unread = [flagged(request.prompt, candidate) for candidate in request.candidates]
        results = [JudgedReply(index=places[i], score=scores[i], flags=unread[places[i]]) for i in order]
        best = results[0].index
        return PickedReply(
            results=results,
            unjudged=list(picked.unjudged),
            best=best if picked.judged[best].gate.passed else None,
            doubt=picked.doubt,
            basis_version=self._engine.artifact.basis.version,
            profile_version=None if user_id is None else profile.version,
        )

    async def compare(self, tenant_id: str, request: CompareRequest, user_id: str | None) -> CompareReply:
        """Predict the choice between two responses with the guarded coefficients."""
        profile, items = await self._one(tenant_id, request, user_id, [request.a, request.b])
        count_served([self._binding(profile)] * len(items))
        phi, passed = stack_items(items)
        model = replace(self._profiles.artifact.choice_model, side_bias=0.0)
        if bool(passed.all()):
            p = predict(profile.served, model, (phi[0] - phi[1])[None])[0]
        else:
            rewards = CoefficientBatch.of([profile], [0, 0]).rewards(phi, passed)
            p = model.probabilities(rewards[0] - rewards[1], profile.posterior.consistency)
        p_a, p_same, p_b = p.tolist()
        return CompareReply(p_a=p_a, p_b=p_b, p_same=p_same, flags=flagged(request.prompt, request.a, request.b))

    async def _one(
        self,
        tenant_id: str,
        request: RankRequest | CompareRequest,
        user_id: str | None,
        responses: Sequence[Completion],
    ) -> tuple[Profile, list[Item]]:
        """The profile of one person, and the items of responses to one prompt."""
        profile, conversation, texts = await self._asked(tenant_id, request, user_id, responses)
        engine = self._gatekeeper.engine(self._engine, tenant_id)
        return profile, await engine.items_of([conversation] * len(texts), texts)

    async def _asked(
        self,
        tenant_id: str,
        request: RankRequest | CompareRequest,
        user_id: str | None,
        responses: Sequence[Completion],
    ) -> tuple[Profile, Conversation, list[str]]:
        """The profile of one person, one prompt and the texts of responses to it."""
        conversation = bounds.conversation(request.prompt, self._settings)
        texts = await self._responses(responses, request.view)
        (profile,) = await self._of(tenant_id, [user_id], pins(request, [user_id]), request.basis_version)
        return profile, conversation, texts

    async def _responses(self, completions: Sequence[Completion], view: View) -> list[str]:
        return await bounds.responses(completions, view, self._engine.reading, self._settings)

    async def _of(
        self, tenant_id: str, people: Sequence[str | None], pinned: Mapping[str, str], basis_version: str | None
    ) -> list[Profile]:
        """The profiles of distinct people, in their order, now or as ``pinned``; None is the aggregate."""
        self._profiles.require_basis(basis_version)
        names = [name for name in people if name is not None]
        persons = await self._store.find([PersonKey(tenant_id, name) for name in names])
        profiles = await self._profiles.each([(person, self._position(person, pinned)) for person in persons])
        known = {person.key.user_id: profile for person, profile in zip(persons, profiles, strict=True)}
        return [self._profiles.aggregate if name is None else known[name] for name in people]

    def _position(self, person: Person, pinned: Mapping[str, str]) -> int | None:
        version = pinned.get(person.key.user_id)
        return None if version is None else self._profiles.position_of(person, version)

    async def _details(
        self,
        tenant_id: str,
        request: ScoreRequest,
        items: Sequence[Item],
        batch: CoefficientBatch,
        baseline: Baseline,
        people: Iterable[str | None],
        profiles: Sequence[Profile],
    ) -> list[DetailReply] | None:
        """The rewards of ``batch`` taken apart, if asked; ``people`` are its people, in its order."""
        if not request.detail:
            return None
        found = [
            None if name is None else await variation(self._store, self._engine, PersonKey(tenant_id, name), profile)
            for name, profile in zip(people, profiles, strict=True)
        ]
        noise = [own.noise if own is not None and own.known else None for own in found]
        return details(request, items, batch, baseline, self._profiles.artifact, noise)

    def _components(self, shares: Tensor | None) -> dict[str, list[float]] | None:
        """Columns of shares (n, K + 1), if any, by name."""
        if shares is None:
            return None
        return dict(zip(component_names(self._engine.artifact.basis), shares.T.tolist(), strict=True))

    def _binding(self, profile: Profile) -> str:
        """What limits a profile's rewards: the aggregate has none of its own, and the guard holds back the others."""
        guard = profile.guarded.guard
        if profile is self._profiles.aggregate:
            return "aggregate"
        held = any(report.binds for report in guard.band.values())
        return "band" if guard.binding == "none" and held else guard.binding

    def _require_parallel(self, request: ScoreRequest, people: Sequence[str | None]) -> None:
        n = len(request.completions)
        for what, number in (("prompts", len(request.prompts)), ("user_ids", len(people))):
            if number != n:
                raise InvalidInput(f"{number} {what} for {n} completions; send one {what[:-1]} per completion")
        bounds.require_at_most("completions", n, "max_items", self._settings)
        bounds.require_at_most("distinct people", len(set(people)), "max_people", self._settings)


def pins(request: ScoreRequest | RankRequest | CompareRequest, people: Sequence[str | None]) -> Mapping[str, str]:
    """Person → pinned version; raises InvalidInput when it is unclear who is pinned, or who is pinned has no row."""
    names = {name for name in people if name is not None}
    versions = (request.profile_versions or {}) if isinstance(request, ScoreRequest) else {}
    strangers = versions.keys() - names
    if strangers:
        raise InvalidInput(f"profile_versions pins {min(strangers)!r}, of whom no row is; pin people of the request")
    if request.profile_version is None:
        return versions
    if versions or len(names) != 1 or None in people:
        raise InvalidInput(f"profile_version pins one person, and {len(names)} are named; use profile_versions")
    return {names.pop(): request.profile_version}


def grouped(conversations: Sequence[Conversation], people: Sequence[str | None]) -> Tensor:
    """The number (n,) of each row's group: the rows of one conversation and one person."""
    pairs = [(c.digest, name) for c, name in zip(conversations, people, strict=True)]
    numbers = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    return torch.tensor([numbers[pair] for pair in pairs])
