"""The answers of a service's people, as a crowd."""

import sqlite3
from pathlib import Path

from app.profiles.evidence import evidence_of
from app.settings import Settings
from app.storage.sqlite_store import SqliteStore
from app.storage.store import Person, active_answers
from elicitation.choice import OUTCOMES
from elicitation.errors import InvalidInput
from elicitation.posterior import Evidence
from reward_bases.artifact import Artifact


async def collected(data_dir: Path, tenant: str, artifact: Artifact, per_person: int) -> list[tuple[Person, Evidence]]:
    """Everybody in a tenant with what their last answers say; the database is only read."""
    database = Settings(data_dir=data_dir).database
    if not database.is_file():
        raise InvalidInput(f"{data_dir} holds no {database.name}; name the folder that keel serve --data-dir had")
    store = SqliteStore(database)
    found = []
    try:
        for person in await store.people(tenant):
            log = active_answers(await store.log(person.key))
            questions = {question.question_id: question for question in await store.questions(person.key)}
            moving = [answer for answer in log if answer.choice in OUTCOMES]
            found.append((person, evidence_of(artifact, moving[-per_person:], questions)))
    except sqlite3.DatabaseError as error:
        raise InvalidInput(
            f"{database} is no database of this version of keel ({error}); start keel serve on it once"
        ) from error
    finally:
        await store.close()
    return found
