"""Questions to a person, the answers, and the profile."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from app.http.access import ScopedRoute
from app.http.routes.common import Granted, Named, Serving, Version, problems
from app.people.export_shape import Shape
from app.people.exporting import Row
from app.schemas.asking import (
    AnchorReply,
    AnchorRequest,
    AnswerReply,
    AnswerRequest,
    AskRequest,
    QuestionReply,
    UndoReply,
)
from app.schemas.audits import OwnAuditReply
from app.schemas.keys import KeyRequest, PersonKeyReply
from app.schemas.people import ExportReply, ProfileReply

router = APIRouter(
    prefix="/v1/users/{user_id}", tags=["people"], responses=problems(401, 403, 503), route_class=ScopedRoute
)
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=128,
        description="a repeated request with the same key gets the same reply and counts once",
    ),
]


@router.post(
    "/questions",
    status_code=201,
    response_model=QuestionReply,
    summary="Ask",
    responses={
        200: {"model": QuestionReply, "description": "the question that is still open"},
        204: {"description": "no further question is worth asking, or none is left"},
        **problems(404, 409, 413, 422),
    },
)
async def ask(person: Named, serving: Serving, response: Response, request: AskRequest | None = None) -> object:
    """Return the next question. It stays open until it is answered. A person exists from their first answer on. Until
    then they are on a visit, which ends after some hours: then their question is gone, and they are unknown."""
    asked = await serving.asking.ask(person, request or AskRequest())
    if asked is None:
        return Response(status_code=204)
    response.status_code = 201 if asked.fresh else 200
    return asked.question


@router.post("/answers", status_code=201, summary="Tell", responses=problems(404, 409, 413, 422))
async def tell(
    person: Named, serving: Serving, request: AnswerRequest, idempotency_key: IdempotencyKey = None
) -> AnswerReply:
    """Answer an open question. The answer is on disk before the reply is sent."""
    return await serving.asking.tell(person, request, idempotency_key)


@router.post("/anchors", status_code=201, summary="Rate", responses=problems(404, 409, 413, 422, 429, 503))
async def rate(
    person: Named, serving: Serving, request: AnchorRequest, idempotency_key: IdempotencyKey = None
) -> AnchorReply:
    """Rate one response as unacceptable, acceptable or excellent. About forty ratings beside ten answers measure the
    noise of the person's own judgments. Ratings move no reward."""
    return await serving.anchoring.rate(person, request, idempotency_key)


@router.delete("/answers/last", summary="Undo", responses=problems(404, 409, 422))
async def undo(person: Named, serving: Serving, idempotency_key: IdempotencyKey = None) -> UndoReply:
    """Take back the last answer. Its question is open again. The log keeps both entries."""
    return await serving.asking.undo(person, idempotency_key)


@router.get("/profile", summary="Profile", responses=problems(404, 409, 410, 422))
async def profile(
    person: Named,
    serving: Serving,
    version: Version = None,
) -> ProfileReply:
    """Return coefficients, statements in words, and the guard."""
    return await serving.people.profile(person, version)


@router.get("/audit", summary="Own audit", responses=problems(404, 409, 422))
async def own_audit(person: Named, serving: Serving) -> OwnAuditReply:
    """Measure the distance of the person's rewards from the aggregate, and its cost."""
    return await serving.auditing.own(person)


@router.get("/export", summary="Export", responses=problems(404, 409, 422))
async def export(person: Named, serving: Serving) -> ExportReply:
    """Return all data about the person."""
    return await serving.people.export(person)


@router.get("/export/{shape}", summary="Export for training", responses=problems(404, 422))
async def export_rows(person: Named, serving: Serving, shape: Shape) -> list[Row]:
    """Return the person's answers as rows for trainers: notes, preferences, best-of-n or feedme."""
    return await serving.people.rows(person, shape)


@router.delete("", status_code=204, summary="Forget", responses=problems(404, 422, 503))
async def forget(person: Named, serving: Serving) -> Response:
    """Erase every trace of the person from database, journal and caches."""
    await serving.people.erase(person)
    return Response(status_code=204)


@router.post("/keys", status_code=201, summary="Key of a person", responses=problems(409, 413, 422))
async def person_key(
    person: Named, grant: Granted, serving: Serving, request: KeyRequest | None = None
) -> PersonKeyReply:
    """Make a key of scope `elicit` for this one person, for an hour or as long as asked. It is shown only now."""
    key, presented = await serving.keys.delegate(grant, person.user_id, (request or KeyRequest()).seconds)
    return PersonKeyReply(key=presented, key_id=key.key_id, expires_at=key.expires_at or "")
