"""Doors: endpoints compatible with clients of other reward models, at / and at /u/{user_id}/."""

from fastapi import APIRouter, Response

from app.http.dialects import (
    llama_factory,
    nemo_gym,
    nemo_gym_metrics,
    nemo_gym_session,
    openai,
    openrlhf,
    rerank,
    sglang,
    slime,
    tei,
    vllm,
)
from app.http.dialects.shapes import ClassifyBody, RerankBody
from app.http.routes.common import problems
from app.http.routes.door_route import DoorRoute, OpenAIRoute, RunRoute, TeiRoute
from app.http.routes.foreign_call import Calling

BODY = problems(413, 422)
REFUSALS = problems(401, 403, 404, 409, 410, 413, 422, 429, 503)
router = APIRouter(tags=["doors"], responses=REFUSALS, route_class=DoorRoute)
tei_router = APIRouter(tags=["doors"], responses=REFUSALS, route_class=TeiRoute)
openai_router = APIRouter(tags=["doors"], responses=REFUSALS, route_class=OpenAIRoute)
run_router = APIRouter(tags=["doors"], responses=problems(401, 403), route_class=RunRoute)
ROUTERS = (router, openai_router, tei_router, run_router)


@router.post("/get_reward", summary="OpenRLHF", response_model=openrlhf.Rewarded)
async def get_reward(request: openrlhf.GetReward, call: Calling) -> Response:
    """`--reward.remote_url`: rewards in nats, scores in 0–1."""
    return await call.answer(request)


@router.post("/rm", summary="slime", response_model=float)
async def remote_reward(request: slime.RemoteReward, call: Calling) -> Response:
    """`--rm-type remote_rm --rm-url`: the bare reward in nats."""
    return await call.answer(request)


@router.post(
    "/v1/score/evaluation",
    summary="LLaMA-Factory",
    response_model=llama_factory.Evaluated,
)
async def evaluation(request: llama_factory.Evaluation, call: Calling) -> Response:
    """`reward_model_type: api`: rewards in nats."""
    return await call.answer(request)


@openai_router.post(
    "/classify",
    summary="vLLM and SGLang",
    response_model=vllm.Classified | list[sglang.Embedded] | sglang.Embedded,
)
async def classify(request: ClassifyBody, call: Calling) -> Response:
    """vLLM's format with `input` or `messages` (verl uses it too), or SGLang's with `text`, in nats."""
    return await call.answer(request)


@openai_router.post("/score", summary="vLLM", response_model=vllm.Paired)
async def score(request: vllm.PairRequest, call: Calling) -> Response:
    """Queries are prompts and documents are responses."""
    return await call.answer(request)


@openai_router.post("/v1/embeddings", summary="OpenAI", response_model=openai.Embeddings)
async def embeddings(request: openai.EmbeddingsRequest, call: Calling) -> Response:
    """The reward in nats as an embedding of one number."""
    return await call.answer(request)


@tei_router.post(
    "/rerank",
    summary="Rerankers and text-embeddings-inference",
    response_model=rerank.Reranked | list[tei.Rank],
)
async def rerank_either(request: RerankBody, call: Calling) -> Response:
    """Best-of-n: the query is the prompt. `documents` is the format of Cohere and Jina, `texts` that of TEI."""
    return await call.answer(request)


@router.post("/v1/rerank", summary="Rerankers", response_model=rerank.Reranked)
@router.post("/v2/rerank", summary="Rerankers, Cohere v2", response_model=rerank.Reranked)
async def rerank_documents(request: rerank.RerankRequest, call: Calling) -> Response:
    """Best-of-n: the query is the prompt, and documents are candidate responses. The best comes first."""
    return await call.answer(request)


@tei_router.post(
    "/predict", summary="text-embeddings-inference", response_model=list[tei.Prediction] | list[list[tei.Prediction]]
)
async def predict(request: tei.PredictRequest, call: Calling) -> Response:
    """Rewards of pairs of prompt and response."""
    return await call.answer(request)


@router.post("/verify", summary="NeMo-Gym", response_model=nemo_gym.Verified)
async def verify(request: nemo_gym.VerifyRequest, call: Calling) -> Response:
    """The request with its reward in nats and the heads' shares, which sum to it."""
    return await call.answer(request)


@run_router.get("/v1/models", summary="OpenAI: models")
async def models() -> openai.Models:
    """`keel` scores by the aggregate, and `keel/{user_id}` for that person. No person is listed."""
    return openai.MODELS


@run_router.post("/seed_session", summary="NeMo-Gym: begin", responses=BODY)
async def seed_session(request: nemo_gym_session.Seed) -> nemo_gym_session.Seeded:
    """An agent sends its row here before `/verify`. Nothing is kept: a reward needs no session."""
    return nemo_gym_session.Seeded(resources_session_id=request.resources_session_id)


@run_router.post("/close_session", summary="NeMo-Gym: end", responses=BODY)
async def close_session(request: nemo_gym_session.Close) -> nemo_gym_session.Closed:
    """Nothing was kept."""
    return nemo_gym_session.Closed(resources_session_id=request.resources_session_id)


@run_router.get("/reverify_mode", summary="NeMo-Gym: whether a row can be verified again")
async def reverify_mode() -> nemo_gym_session.ReverifyMode:
    """It can: a reward depends on the row alone."""
    return nemo_gym_session.REVERIFY_MODE


# On a thread of its own: it takes time over many rollouts.
@run_router.post("/aggregate_metrics", summary="NeMo-Gym: metrics of a run", responses=BODY)
def aggregate_metrics(request: nemo_gym_metrics.Rollouts) -> nemo_gym_metrics.Aggregated:
    """Mean, max, min, median and standard deviation of every number of the rollouts, per task and over all."""
    return request.aggregated()
