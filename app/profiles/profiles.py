"""Profiles: what a prefix of a person's answer log says, and the guard it lives under.

The log is the truth and a profile a cache: version ``n-d`` is refitted from the first n entries whenever it is asked
for, where d digests everything else a profile depends on (basis, population, choice model, guard budget).
"""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from app.cache import LruCache
from app.errors import Conflict, NotFound
from app.profiles.agreement import bands_of
from app.storage.store import Answer, Person, PersonKey, Question, Store, active_answers
from elicitation.errors import InvalidInput
from elicitation.population import Component
from elicitation.posterior import Evidence, Posterior, infer
from reward_bases.artifact import Artifact
from reward_bases.text import digest
from safeguards.guard import Budget, Guarded, Reference, guard
from safeguards.score import Scale
from safeguards.shaping import mixed
from safeguards.trust import held_out, limits

DIGEST_DIGITS = 12
PERSON_DIGITS = 6
VERSION = re.compile(rf"(\d{{1,9}})-([0-9a-f]{{{DIGEST_DIGITS}}})(?:-([0-9a-f]{{{PERSON_DIGITS}}}))?")
"""Entries of the log, what the profile depends on, and whose it is, lest a newcomer of the same name answer for it."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One version: the active ``answers`` it was learned from (rows of ``evidence``), posterior and guard."""

    version: str
    position: int
    answers: tuple[Answer, ...]
    evidence: Evidence
    posterior: Posterior
    guarded: Guarded
    scale: Scale


class Profiles:
    """Fits and remembers profiles; ``aggregate`` is the profile of somebody who has answered nothing."""

    def __init__(self, store: Store, artifact: Artifact, cache_size: int) -> None:
        self.artifact = artifact
        self.budget = Budget(**artifact.budget)
        self.reference = Reference.of(artifact.reference)
        self.protected = fixed_heads(artifact)
        self.bands = bands_of(artifact)
        self.limit = limits_of(artifact)
        self._store = store
        self._cache: LruCache[tuple[str, int], Profile] = LruCache(cache_size)
        self.digest = self._digest_of_dependencies()
        self.aggregate = self._fit(0, (), {}, None)

    async def of(self, person: Person, position: int | None = None) -> Profile:
        """The profile after ``position`` entries of the log, by default all of them."""
        position = person.position if position is None else position
        cached = self._cache.get((person.person_uid, position))
        if cached is not None:
            return cached
        log = (await self._store.log(person.key))[:position]
        questions = {question.question_id: question for question in await self._store.questions(person.key)}
        profile = await asyncio.to_thread(self._fit, position, active_answers(log), questions, person)
        self._cache.put((person.person_uid, position), profile)
        return profile

    async def pinned(self, person: Person, version: str) -> Profile:
        """The profile of that version; Conflict when it belongs to another basis, population, model or guard, NotFound
        when to another person or to answers not given yet."""
        match = VERSION.fullmatch(version)
        if match is None:
            example = version_of(person, 3, self.digest)
            raise InvalidInput(f"profile_version {version[:40]!r} is none; take one from a reply, like {example!r}")
        position = int(match[1])
        if match[2] != self.digest:
            raise Conflict(f"profile_version {version!r} is of another basis, population or guard than {self.digest!r}")
        if match[3] != person.person_uid[:PERSON_DIGITS]:
            raise NotFound(
                f"profile_version {version!r} is of somebody else, who may have been erased; this person's end in "
                f"{person.person_uid[:PERSON_DIGITS]!r}"
            )
        if position > person.position:
            raise NotFound(
                f"profile_version {version!r} is after the log's last entry, {person.position}; pin an earlier"
            )
        return await self.of(person, position)

    def mixed(self, profile: Profile, weight: float) -> Profile:
        """The profile with the aggregate mixed in at ``weight``, on the scale of the mixture."""
        if weight == 0:
            return profile
        guarded = mixed(profile.guarded, self.artifact.population.mean, weight)
        return replace(profile, guarded=guarded, scale=Scale.of(guarded.coefficients, self.reference))

    def forget(self, person: Person) -> None:
        """Drop everything remembered of a person."""
        self._cache.drop(lambda key: key[0] == person.person_uid)

    def require_basis(self, version: str | None) -> None:
        """Conflict when a request names a basis that is not the one served."""
        served = self.artifact.basis.version
        if version is not None and version != served:
            raise Conflict(
                f"basis_version {version[:40]!r} is not the one served, {served!r}; pin that or leave it out"
            )

    def difference(self, question: Question) -> Tensor:
        """φ_left − φ_right (K,) of a question."""
        try:
            return self.artifact.bank_phi[question.left_id] - self.artifact.bank_phi[question.right_id]
        except KeyError as missing:
            raise Conflict(
                f"question {question.question_id} is of bank {question.bank_version}, and the bank served, "
                f"{self.artifact.bank.version}, has no answer {missing}; serve the earlier bank"
            ) from missing

    def evidence(self, answers: Sequence[Answer], questions: dict[str, Question]) -> Evidence:
        """Evidence of active ``answers`` to ``questions`` (by id), one row each."""
        rows = [self.difference(questions[answer.question_id]) for answer in answers]
        differences = torch.stack(rows) if rows else torch.zeros(0, self.artifact.basis.k, dtype=torch.float64)
        return Evidence(differences, tuple(a.choice for a in answers), tuple(a.strength for a in answers))

    def _fit(
        self, position: int, answers: tuple[Answer, ...], questions: dict[str, Question], person: Person | None
    ) -> Profile:
        # Always from the prior mean: a warm start agrees only to 1e-8, and a pinned version must be the same for ever.
        evidence = self.evidence(answers, questions)
        population, model = self.artifact.population, self.artifact.choice_model
        posterior = infer(population, model, evidence)
        guarded = self.guarded(posterior.mean, posterior.covariance)
        scale = Scale.of(guarded.coefficients, self.reference)
        version = version_of(person, position, self.digest)
        return Profile(version, position, answers, evidence, posterior, guarded, scale)

    def guarded(self, mean: Tensor, covariance: Tensor) -> Guarded:
        """The guard's result for a posterior with ``mean`` (K,) and ``covariance`` (K, K)."""
        held = (self.protected, self.bands, self.limit)
        return guard(self.artifact.population.mean, mean, covariance, self.reference, self.budget, *held)

    def _digest_of_dependencies(self) -> str:
        artifact = self.artifact
        parts = [
            artifact.basis.version,
            artifact.population_version,
            asdict(artifact.choice_model),
            asdict(self.budget),
            artifact.agreement,
            self.limit.tolist(),
        ]
        return digest(json.dumps(parts, sort_keys=True))[:DIGEST_DIGITS]


def version_of(person: Person | None, position: int, digest: str) -> str:
    """The name of a person's profile after ``position`` entries, or of the aggregate's (None)."""
    name = f"{position}-{digest}"
    return name if person is None else f"{name}-{person.person_uid[:PERSON_DIGITS]}"


def fixed_heads(artifact: Artifact) -> Tensor:
    """Bool (K,): the protected heads, and those in which nobody differs."""
    return torch.tensor(artifact.basis.protected) | (artifact.population.covariance.diagonal() == 0)


def limits_of(artifact: Artifact) -> Tensor:
    """How far each head's coefficient (K,) may leave the aggregate, by the head's held-out trust."""
    std = artifact.population.covariance.diagonal().sqrt()
    return limits(held_out(artifact.basis.names, artifact.card.get("metrics", {})), std)


def served_belief(guarded: Guarded, posterior: Posterior) -> Posterior:
    """The guarded posterior of λ; κ stays the person's."""
    component = Component(1.0, guarded.coefficients, guarded.covariance)
    return Posterior((component,), posterior.log_consistency)


async def require_person(store: Store, key: PersonKey) -> Person:
    """The person of a key; NotFound when unknown."""
    return (await store.find([key]))[0]
