"""Profiles: a cache over the store of what each prefix of a person's answer log says.

The log is the truth and a profile a cache: version ``n-d`` is refitted from the first n entries whenever it is asked
for, where d digests everything else a profile depends on (basis, population, choice model, guard budget). A refit by
the same code gives the same numbers to the last bit: people are fitted one by one, because company in a batch moves a
guarded coefficient by up to 1e-9, and a pinned version must never move.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from app.cache import LruCache
from app.errors import Conflict, NotFound
from app.observing.measured import stage
from app.profiles.evidence import evidence_of
from app.storage.store import Answer, Person, PersonKey, Question, Store, active_answers
from elicitation.errors import InvalidInput
from reward_bases.artifact import Artifact
from reward_bases.text import digest
from safeguards.person import FittedPerson, PersonModel
from safeguards.policy import GuardPolicy

DIGEST_DIGITS = 12
PERSON_DIGITS = 6
VERSION = re.compile(rf"^([0-9]{{1,9}})-([0-9a-f]{{{DIGEST_DIGITS}}})(?:-([0-9a-f]{{{PERSON_DIGITS}}}))?$")
"""Entries of the log, what the profile depends on, and whose it is, lest a newcomer of the same name answer for it."""


@dataclass(frozen=True, eq=False)
class Profile(FittedPerson):
    """One version: the person fitted to the active ``answers`` (rows of ``evidence``) among the first entries."""

    version: str
    position: int
    answers: tuple[Answer, ...]


@dataclass(frozen=True, eq=False)
class Prefix:
    """The active answers among the first ``position`` entries of a person's log; the aggregate is nobody's."""

    person: Person | None
    position: int
    answers: tuple[Answer, ...]
    questions: Mapping[str, Question]


class Profiles:
    """Fits and remembers profiles; ``aggregate`` is the profile of somebody who has answered nothing."""

    def __init__(self, store: Store, artifact: Artifact, cache_size: int) -> None:
        self.artifact = artifact
        self.model = PersonModel.of(artifact)
        self._store = store
        self._cache: LruCache[tuple[str, int], Profile] = LruCache(cache_size)
        self.digest = digest_of_dependencies(artifact, self.policy)
        (self.aggregate,) = self._fit([Prefix(None, 0, (), {})])

    @property
    def cache(self) -> LruCache[tuple[str, int], Profile]:
        """The profiles that are remembered."""
        return self._cache

    @property
    def policy(self) -> GuardPolicy:
        """The guard that everybody lives under."""
        return self.model.policy

    async def of(self, person: Person, position: int | None = None) -> Profile:
        """The profile after ``position`` entries of the log, by default all of them."""
        (profile,) = await self.each([(person, position)])
        return profile

    async def each(self, wanted: Sequence[tuple[Person, int | None]]) -> list[Profile]:
        """The profiles of people after that many entries, or all (None); those not remembered are fitted now."""
        with stage("profile"):
            return await self._each([(one, one.position if position is None else position) for one, position in wanted])

    async def _each(self, places: Sequence[tuple[Person, int]]) -> list[Profile]:
        keys = [(person.person_uid, position) for person, position in places]
        found = {key: cached for key in dict.fromkeys(keys) if (cached := self._cache.get(key)) is not None}
        missing = {key: place for key, place in zip(keys, places, strict=True) if key not in found}
        if missing:
            prefixes = [await self._prefix(person, position) for person, position in missing.values()]
            for key, profile in zip(missing, await asyncio.to_thread(self._fit, prefixes), strict=True):
                self._cache.put(key, profile)
                found[key] = profile
        return [found[key] for key in keys]

    async def pinned(self, person: Person, version: str) -> Profile:
        """The profile of that version; refused as ``position_of`` says."""
        return await self.of(person, self.position_of(person, version))

    def position_of(self, person: Person, version: str) -> int:
        """The number of entries that a version was fitted to.

        Conflict when it belongs to another basis, population, model or guard, NotFound when to another person or to
        answers not given yet.
        """
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
        return position

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

    async def _prefix(self, person: Person, position: int) -> Prefix:
        log = (await self._store.log(person.key))[:position]
        questions = {question.question_id: question for question in await self._store.questions(person.key)}
        return Prefix(person, position, active_answers(log), questions)

    def _fit(self, prefixes: Sequence[Prefix]) -> list[Profile]:
        evidence = [evidence_of(self.artifact, prefix.answers, prefix.questions) for prefix in prefixes]
        people = [fitted for one in evidence for fitted in self.model.fit([one])]
        return [
            Profile(
                **vars(fitted),
                version=version_of(prefix.person, prefix.position, self.digest),
                position=prefix.position,
                answers=prefix.answers,
            )
            for prefix, fitted in zip(prefixes, people, strict=True)
        ]


def digest_of_dependencies(artifact: Artifact, policy: GuardPolicy) -> str:
    """Names everything but answers that a profile depends on."""
    parts = [
        artifact.basis.version,
        artifact.population_version,
        asdict(artifact.choice_model),
        asdict(policy.budget),
        artifact.agreement,
        policy.limit.tolist(),
    ]
    return digest(json.dumps(parts, sort_keys=True))[:DIGEST_DIGITS]


def version_of(person: Person | None, position: int, digest: str) -> str:
    """The name of a person's profile after ``position`` entries, or of the aggregate's (None)."""
    name = f"{position}-{digest}"
    return name if person is None else f"{name}-{person.person_uid[:PERSON_DIGITS]}"


async def require_person(store: Store, key: PersonKey) -> Person:
    """The person of a key; NotFound when unknown."""
    return (await store.find([key]))[0]
