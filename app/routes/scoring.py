"""Rewards, rankings and predicted choices."""

from collections.abc import Sequence

from fastapi import APIRouter

from app.routes.common import LOCAL, FromHeader, Serving, agreed, problems
from app.schemas import CompareReply, CompareRequest, RankReply, RankRequest, ScoreReply, ScoreRequest

router = APIRouter(prefix="/v1", tags=["scoring"], responses=problems(404, 409, 413, 422))


@router.post("/score", summary="Score")
async def score(request: ScoreRequest, serving: Serving, header: FromHeader) -> ScoreReply:
    """Rewards of completions for one person, one person per row, or the aggregate.

    A reward is constant for a profile version: it never depends on the batch. A response that the gate rejects gets
    the floor reward and its reasons in `details`.
    """
    return await serving.scoring.score(LOCAL, request, people_of(request, header))


@router.post("/rank", summary="Rank")
async def rank(request: RankRequest, serving: Serving, header: FromHeader) -> RankReply:
    """Candidates, best first, with how far the set's choice probabilities are from the aggregate's."""
    return await serving.scoring.rank(LOCAL, request, agreed(request.user_id, header))


@router.post("/compare", summary="Compare")
async def compare(request: CompareRequest, serving: Serving, header: FromHeader) -> CompareReply:
    """The predicted choice between two responses; swapping them swaps the probabilities."""
    return await serving.scoring.compare(LOCAL, request, agreed(request.user_id, header))


def people_of(request: ScoreRequest, header: str | None) -> Sequence[str | None]:
    """One name per row; every place that names somebody must agree."""
    if request.user_ids is None:
        return [agreed(request.user_id, header)] * len(request.completions)
    if request.user_id is not None or header is not None:
        agreed(*request.user_ids, request.user_id, header)
    return request.user_ids
