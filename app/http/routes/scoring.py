"""Rewards, rankings and predicted choices."""

from collections.abc import Sequence

from fastapi import APIRouter, Response

from app.http.access import ScopedRoute, agreed, require_person
from app.http.dialects.shapes import ScoreBody
from app.http.dialects.vllm import Paired, PairRequest
from app.http.routes.common import FromHeader, Granted, Serving, problems, reached
from app.http.routes.foreign_call import Calling
from app.schemas.ranking import AskedSources, PickedReply, RankReply, RankRequest
from app.schemas.scoring import CompareReply, CompareRequest, MaskedReply, OnMissing, ScoreReply, ScoreRequest
from app.storage.keys import Grant

router = APIRouter(
    prefix="/v1",
    tags=["scoring"],
    responses=problems(401, 403, 404, 409, 410, 413, 422, 429, 503),
    route_class=ScopedRoute,
)


@router.post("/score", summary="Score", response_model=ScoreReply | MaskedReply | Paired)
async def score(
    request: ScoreBody, grant: Granted, serving: Serving, header: FromHeader, call: Calling
) -> ScoreReply | MaskedReply | Response:
    """Reward completions for one person, for one person per row, or for the aggregate.

    A reward is constant under a profile version: it never depends on the batch. A response that the gate rejects gets
    the floor reward, and `details` has the reasons. A body with `queries` and `documents` is in vLLM's format and gets
    a reply in that format.
    """
    if isinstance(request, PairRequest):
        return await call.answer(request)
    people = people_of(request, grant, header)
    if request.on_missing is OnMissing.MASK:
        return await serving.scoring.masked(grant.tenant, request, people)
    return await serving.scoring.score(grant.tenant, request, people)


@router.post("/rank", summary="Rank")
async def rank(request: RankRequest, grant: Granted, serving: Serving, header: FromHeader) -> RankReply | PickedReply:
    """Rank candidates, best first, and measure the divergence of their choice probabilities from the aggregate's.

    With `sources: "needed"` judges are asked about one candidate after another, until the chance that
    another one is the best is at most `doubt`. Such a request is always served by the person's own reward.
    """
    user_id = reached(grant, request.user_id, header)
    if request.sources is AskedSources.NEEDED:
        return await serving.scoring.pick(grant.tenant, request, user_id)
    return await serving.scoring.rank(grant.tenant, request, user_id)


@router.post("/compare", summary="Compare")
async def compare(request: CompareRequest, grant: Granted, serving: Serving, header: FromHeader) -> CompareReply:
    """Predict the choice between two responses. Swapping them swaps the probabilities."""
    return await serving.scoring.compare(grant.tenant, request, reached(grant, request.user_id, header))


def people_of(request: ScoreRequest, grant: Grant, header: str | None) -> Sequence[str | None]:
    """One name per row; every place that names somebody must agree."""
    if request.user_ids is None:
        return [reached(grant, request.user_id, header)] * len(request.completions)
    if request.user_id is not None or header is not None:
        agreed(*request.user_ids, request.user_id, header)
    require_person(grant, *request.user_ids)
    return request.user_ids
