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
