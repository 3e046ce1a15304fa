"""Profiles: remembered fits of the log's prefixes, whoever is missing fitted at once."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import torch
from shipped_people import SHIPPED, answer, asked, question

from app.profiles.profiles import Profile, Profiles
from app.settings import Settings
from app.storage.opening import open_store
from app.storage.store import PersonKey, Store
from elicitation.choice import OUTCOMES
from elicitation.posterior import Evidence
from safeguards.person import FittedPerson, PersonModel

COUNTS = (3, 0, 6)
KEYS = [PersonKey("local", f"user-{i}") for i in range(len(COUNTS))]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Person i gave COUNTS[i] answers."""
    store, generator = open_store(Settings(data_dir=tmp_path)), torch.Generator().manual_seed(2)
    await store.open()
    for i, (key, count) in enumerate(zip(KEYS, COUNTS, strict=True)):
        await store.visit(key)
        for n, pair in enumerate(asked(1, count, generator)[0].tolist()):
            await store.add_question(key, question(pair, n))
            await store.append(key, answer(OUTCOMES[(n + i) % 3], n))
    yield store
    await store.close()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of people in every call of the person model from now on."""
    sizes, fit = [], PersonModel.fit

    def counted(self: PersonModel, evidence: Sequence[Evidence]) -> list[FittedPerson]:
        sizes.append(len(evidence))
        return fit(self, evidence)

    monkeypatch.setattr(PersonModel, "fit", counted)
    return sizes


def same(one: Profile, other: Profile) -> None:
    assert (one.version, one.position, one.answers) == (other.version, other.position, other.answers)
    assert torch.equal(one.posterior.mean, other.posterior.mean)
    assert torch.equal(one.guarded.coefficients, other.guarded.coefficients)
    assert torch.equal(one.guarded.covariance, other.guarded.covariance)


def test_the_shipped_artifacts_digest_is_the_one_in_everybodys_versions(tmp_path: Path) -> None:
    assert Profiles(open_store(Settings(data_dir=tmp_path)), SHIPPED, 1).digest == "905e305ef5e7"


async def test_a_profile_is_the_same_to_the_last_bit_in_any_company(store: Store) -> None:
    people = await store.find(KEYS)
    alone, together = (Profiles(store, SHIPPED, 100) for _ in range(2))
    for person, profile in zip(people, await together.each([(person, None) for person in people]), strict=True):
        same(profile, await alone.of(person))
        assert len(profile.answers) == person.position


async def test_those_who_are_missing_are_fitted_alone_and_remembered(store: Store, batches: list[int]) -> None:
    people, profiles = await store.find(KEYS), Profiles(store, SHIPPED, 100)
    first = await profiles.of(people[0])
    found = await profiles.each([(person, None) for person in people])
    again = await profiles.each([(person, None) for person in people])
    assert batches == [1, 1, 1, 1], "the aggregate, the first person, the two others"
    assert found[0] is first
    assert all(one is other for one, other in zip(found, again, strict=True))


async def test_more_people_than_are_remembered_are_all_found(store: Store) -> None:
    people, profiles = await store.find(KEYS), Profiles(store, SHIPPED, 1)
    found = await profiles.each([(person, None) for person in (*people, people[0])])
    assert [profile.position for profile in found] == [*COUNTS, COUNTS[0]]


async def test_one_person_at_several_positions_is_several_profiles(store: Store) -> None:
    person, profiles = (await store.find(KEYS))[2], Profiles(store, SHIPPED, 100)
    found = await profiles.each([(person, position) for position in (0, 2, None)])
    assert [len(profile.answers) for profile in found] == [0, 2, COUNTS[2]]
    assert torch.equal(found[0].guarded.coefficients, SHIPPED.population.mean)


async def test_a_version_says_how_many_entries_it_was_fitted_to(store: Store) -> None:
    person, profiles = (await store.find(KEYS))[2], Profiles(store, SHIPPED, 100)
    profile = await profiles.of(person, 4)
    assert profiles.position_of(person, profile.version) == 4
    assert await profiles.pinned(person, profile.version) is profile
