"""Erasing somebody retires the populations that were learned with them, by a stated deadline and not before."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.errors import Gone as Retired
from app.jobs.migrating import require_servable
from app.profiles.lineage import learned_from
from app.profiles.profiles import Profiles
from app.profiles.retiring import retirement
from app.settings import Settings
from app.storage.opening import open_store, opened
from app.storage.registry import Erasure
from app.storage.store import Person, PersonKey, now
from keel import Client, Gone, NotFound
from reward_bases.artifact import DEFAULT, load_artifact, save_with_population

Serve = Callable[[Settings], AbstractContextManager[Client]]
TEXTS = (["Basil?"], ["Water it."])
SHIPPED = load_artifact()


def person(person_uid: str) -> Person:
    return Person(PersonKey("local", "ada"), person_uid, now(), 1)


def erased(person_uid: str, days_ago: float = 0, tenant: str = "local") -> Erasure:
    return Erasure(tenant, person_uid, (datetime.now(UTC) - timedelta(days=days_ago)).isoformat())


def test_the_deadline_counts_from_the_first_erasure_of_somebody_within() -> None:
    source = learned_from("local", [person("one"), person("two")])
    artifact = replace(SHIPPED, card={"learned_from": [source]})
    assert retirement(artifact, [], 30) is None
    assert retirement(artifact, [erased("three")], 30) is None
    assert retirement(artifact, [erased("one", tenant="acme")], 30) is None
    found = retirement(artifact, [erased("one", 10), erased("two", 20), erased("three", 50)], 30)
    assert found is not None
    assert (found.erased, found.due) == (2, False)
    assert found.deadline - datetime.now(UTC) == pytest.approx(timedelta(days=10), abs=timedelta(minutes=1))
    late = retirement(artifact, [erased("one", 31)], 30)
    assert late is not None
    assert late.due
    assert "keel population refit" in str(late)


def test_the_artifact_shipped_was_learned_from_nobody_who_can_be_erased() -> None:
    assert retirement(SHIPPED, [erased("one", 1000)], 0) is None


def population_with(settings: Settings, folder: Path, user_ids: Sequence[str]) -> Path:
    """An artifact whose card says that it was learned with these people."""

    async def people() -> list[Person]:
        async with opened(settings) as store:
            return await store.find([PersonKey("local", name) for name in user_ids])

    part = SHIPPED.population.components[0]
    population = replace(SHIPPED.population, components=(replace(part, mean=part.mean * 1.25),))
    card = {"learned_from": [learned_from("local", asyncio.run(people()))]}
    save_with_population(DEFAULT, folder, population, card)
    return folder


def told(client: Client, user_id: str) -> str:
    question = client.ask(user_id, force=True)
    assert question is not None
    return client.tell(user_id, question.question_id, "left").profile_version


def move_into_the_past(database: Path, days: int) -> None:
    """As if everybody had been erased days ago."""
    past = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    with closing(sqlite3.connect(database)) as db:
        db.execute("update erasures set erased_at = ?", [past])
        db.commit()


def due(data: Path) -> tuple[int, list[dict[str, object]]]:
    result = CliRunner().invoke(app, ["population", "due", "--data-dir", str(data), "--json"])
    populations: list[dict[str, object]] = json.loads(result.stdout)["populations"]
    return result.exit_code, populations


@pytest.mark.slow
def test_a_population_is_served_until_the_deadline_and_gone_after_it(serve: Serve, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve(Settings(data_dir=data)) as client:
        told(client, "ada")
        shipped = told(client, "bob")
    folder = population_with(Settings(data_dir=data), tmp_path / "with-ada", ["ada", "bob"])
    settings = Settings(data_dir=data, basis=folder, erasure_days=30)
    with serve(settings) as client:
        pinned = client.profile("bob").version
        before = client.score(*TEXTS, user_id="bob", profile_version=pinned)
        client.forget("ada")
        assert client.score(*TEXTS, user_id="bob", profile_version=pinned) == before
    (waiting,) = due(data)[1]
    assert (due(data)[0], waiting["erased"], waiting["due"]) == (0, 1, False)
    served = Profiles(open_store(settings), load_artifact(folder), 1)
    asyncio.run(require_servable(settings, served))

    move_into_the_past(settings.database, 31)
    assert due(data)[0] == 1
    with pytest.raises(Retired, match=r"with 1 people who were erased .* keel population refit"):
        asyncio.run(require_servable(settings, served))
    with serve(Settings(data_dir=data)) as client:
        with pytest.raises(Gone):
            client.score(*TEXTS, user_id="bob", profile_version=pinned)
        with pytest.raises(Gone):
            client.profile("bob", version=pinned)
        with pytest.raises(NotFound):
            client.profile("ada")
        assert client.profile("bob", version=shipped).version == shipped
        assert client.score(*TEXTS, user_id="bob").rewards
    with closing(sqlite3.connect(settings.database)) as db:
        kept = dict(db.execute("select population_version, files is not null from served").fetchall())
    assert kept == {SHIPPED.population_version: 1, served.artifact.population_version: 0}


@pytest.mark.slow
def test_a_service_that_runs_past_the_deadline_stops_scoring_but_still_shows_and_erases(
    serve: Serve, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with serve(Settings(data_dir=data)) as client:
        told(client, "ada")
        told(client, "bob")
    folder = population_with(Settings(data_dir=data), tmp_path / "with-both", ["ada", "bob"])
    with serve(Settings(data_dir=data, basis=folder, erasure_days=0)) as client:
        version = client.profile("bob").version
        client.forget("ada")
        for user_id, pin in (("bob", version), ("bob", None), (None, None)):
            with pytest.raises(Gone, match="keel population refit"):
                client.score(*TEXTS, user_id=user_id, profile_version=pin)
        with pytest.raises(Gone):
            client.profile("bob", version=version)
        assert client.export("bob")["answers"]
        client.forget("bob")


@pytest.mark.slow
def test_what_stays_of_an_erased_person_is_a_number_that_leads_to_nobody(serve: Serve, tmp_path: Path) -> None:
    with serve(Settings(data_dir=tmp_path)) as client:
        told(client, "zebediah")
        client.forget("zebediah")
    assert not [path for path in tmp_path.iterdir() if b"zebediah" in path.read_bytes()]
    with closing(sqlite3.connect(tmp_path / "keel.db")) as db:
        ((tenant, incarnation, _),) = db.execute("select * from erasures").fetchall()
    assert tenant == "local"
    assert len(bytes.fromhex(incarnation)) == 16
