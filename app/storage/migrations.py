"""The database's shape as an ordered list of steps; each step and its record share one transaction.

Every table that holds personal data has the columns ``tenant_id`` and ``user_id``: erasing a person relies on it.
"""

from sqlite_utils import Migrations
from sqlite_utils.db import Database

MIGRATIONS = Migrations("keel")


@MIGRATIONS()
def people_questions_answers(db: Database) -> None:
    person = {"tenant_id": str, "user_id": str}
    owner = ("tenant_id", "user_id")
    db.table("people").create(
        {**person, "incarnation": str, "created_at": str}, pk=owner, not_null={"incarnation", "created_at"}, strict=True
    )
    texts = ("prompt_id", "conversation", "left_id", "right_id", "left", "right", "left_digest", "right_digest", "rule")
    stamps = ("unit", "bank_version", "basis_version", "population_version", "profile_version", "asked_at")
    question = {"question_id": str, "number": int, "asked_after": int, **dict.fromkeys(texts, str)}
    question |= {"seed": int, "expected_gain": float, **dict.fromkeys(stamps, str)}
    questions = db.table("questions").create(
        person | question, pk=(*owner, "question_id"), not_null=set(question), strict=True
    )
    questions.create_index([*owner, "prompt_id"], "a_prompt_is_asked_once", unique=True)
    entry = {"position": int, "kind": str, "answer_id": str, "question_id": str, "choice": str, "strength": str}
    entry |= {"note": str, "predicted": str, "idempotency_key": str, "request_digest": str, "logged_at": str}
    log = db.table("answer_log").create(
        person | entry,
        pk=(*owner, "position"),
        not_null={"kind", "answer_id", "request_digest", "logged_at"},
        strict=True,
    )
    log.create_index([*owner, "idempotency_key"], "a_key_is_used_once", unique=True)
    db.execute(
        "CREATE TRIGGER answer_log_is_append_only BEFORE UPDATE ON answer_log "
        "BEGIN SELECT RAISE(ABORT, 'the answer log is append-only'); END"
    )


@MIGRATIONS()
def audits(db: Database) -> None:
    audit = {"number": int, "tenant_id": str, "audit_id": str, "created_at": str, "report": str}
    table = db.table("audits").create(audit, pk="number", not_null=set(audit) - {"number"}, strict=True)
    table.create_index(["tenant_id", "audit_id"], "an_audit_is_stored_once", unique=True)


@MIGRATIONS()
def keys(db: Database) -> None:
    columns = ("key_id", "tenant_id", "secret_digest", "created_at", "revoked_at")
    db.table("keys").create(
        dict.fromkeys(columns, str), pk="key_id", not_null=set(columns) - {"revoked_at"}, strict=True
    )


@MIGRATIONS()
def served_and_erasures(db: Database) -> None:
    stamps = ("digest", "basis_version", "population_version", "served_at", "retired_at")
    db.table("served").create(
        {**dict.fromkeys(stamps, str), "files": bytes},
        pk="digest",
        not_null=set(stamps) - {"retired_at"},
        strict=True,
    )
    erasure = ("tenant_id", "incarnation", "erased_at")
    db.table("erasures").create(
        dict.fromkeys(erasure, str), pk=("tenant_id", "incarnation"), not_null={"erased_at"}, strict=True
    )


@MIGRATIONS()
def anchor_ratings(db: Database) -> None:
    rating = {"anchor_id": str, "told_after": int, "conversation": str, "response": str, "level": str}
    rating |= {"idempotency_key": str, "request_digest": str, "logged_at": str}
    owner = {"tenant_id": str, "user_id": str}
    table = db.table("anchor_ratings").create(
        owner | rating, pk=(*owner, "anchor_id"), not_null=set(rating) - {"idempotency_key"}, strict=True
    )
    table.create_index([*owner, "idempotency_key"], "a_key_rates_once", unique=True)
    db.execute(
        "CREATE TRIGGER anchor_ratings_are_append_only BEFORE UPDATE ON anchor_ratings "
        "BEGIN SELECT RAISE(ABORT, 'ratings are append-only'); END"
    )


@MIGRATIONS()
def rankings(db: Database) -> None:
    texts = ("ranking_id", "person", "served_at", "arm", "profile_version", "basis_version", "candidates")
    ranking = dict.fromkeys((*texts, "phi", "rewards", "order"), str)
    owner = {"tenant_id": str, "user_id": str}
    table = db.table("rankings").create(owner | ranking, pk=(*owner, "ranking_id"), not_null=set(ranking), strict=True)
    table.create_index(["tenant_id", "served_at"], "rankings_by_age")


@MIGRATIONS()
def appeals(db: Database) -> None:
    texts = ("conversation", "response", "response_digest", "reasons", "made_at")
    owner = {"tenant_id": str, "user_id": str}
    row = {"appeal_id": str, **dict.fromkeys((*texts, "note", "verdict", "resolved_at"), str)}
    table = db.table("appeals").create(owner | row, pk=(*owner, "appeal_id"), not_null=set(texts), strict=True)
    table.create_index(["tenant_id", "appeal_id"], "an_appeal_is_made_once", unique=True)
    table.create_index(["tenant_id", "verdict"], "verdicts_of_a_tenant")


@MIGRATIONS()
def visits(db: Database) -> None:
    columns = ("tenant_id", "user_id", "incarnation", "created_at")
    table = db.table("visits").create(
        dict.fromkeys(columns, str), pk=columns[:2], not_null={"incarnation", "created_at"}, strict=True
    )
    table.create_index(["tenant_id", "created_at"], "visits_by_age")
    table.create_index(["created_at"], "ended_visits")


@MIGRATIONS()
def clean_ups(db: Database) -> None:
    # Erasures of before may have been interrupted: one clean-up is due for them all.
    db.table("clean_ups").create({"number": int}, pk="number", strict=True)
    db.execute("insert into clean_ups select 1 from erasures limit 1")


@MIGRATIONS()
def scopes_of_keys(db: Database) -> None:
    """A key without scopes was made before them and has all. ``bound_to`` is no ``user_id``: erasing a person revokes
    the row and keeps it, since a service whose only key disappears would open itself."""
    table = db.table("keys")
    for column in ("scopes", "expires_at", "bound_to", "made_by"):
        table.add_column(column, str)
    table.add_column("max_tokens", int)
