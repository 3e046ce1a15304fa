"""Traces of an erased person, and the aggregate against a run without that person."""

import asyncio

import torch

from app.attacks.attack import Attack, counted
from app.attacks.people import answer, by_taste, tastes
from app.attacks.target import SEED, Target
from app.jobs.collected import collected
from app.jobs.refitting import improved
from elicitation.population import Population
from elicitation.posterior import crowd_of

GONE, NOTE = "erasable-quixote", "a note about windmills-7319"
STAYING = 2
ANSWERS = 4


def erasure(target: Target) -> list[Attack]:
    """Traces in files, routes and caches after erasing; largest difference of λ̄ from the run without the person."""
    people = [f"staying-{i}" for i in range(STAYING)]
    for user, taste in zip(people, tastes(target, STAYING), strict=True):
        answer(target, user, by_taste(target, taste, torch.Generator().manual_seed(SEED)), ANSWERS)
    never = _aggregate(target)
    _join(target)
    joined = _aggregate(target)
    target.http.delete(f"/v1/users/{GONE}").raise_for_status()
    gone = _aggregate(target)
    difference = float((gone.mean - never.mean).abs().max())
    deviations = _traces(target) + (["joining moved nothing"] if torch.equal(joined.mean, never.mean) else [])
    return [
        counted("traces of somebody erased", deviations),
        Attack("aggregate after erasure, against never joined", difference, 0.0, "nats, the furthest head"),
    ]


def _join(target: Target) -> None:
    answer(target, GONE, lambda question: "left", ANSWERS)
    question = target.http.post(f"/v1/users/{GONE}/questions", json={"force": True}).raise_for_status().json()
    body = {"question_id": question["question_id"], "choice": "right", "note": NOTE}
    target.http.post(f"/v1/users/{GONE}/answers", json=body).raise_for_status()
    asked, said = target.texts[0].conversation.last_user, target.texts[0].answers[0].text
    target.http.post("/v1/score", json={"prompts": [asked], "completions": [said], "user_id": GONE}).raise_for_status()
    appeal = {"prompt": asked, "response": f"{NOTE}:", "user_id": GONE}
    target.http.post("/v1/appeals", json=appeal).raise_for_status()


def _aggregate(target: Target) -> Population:
    """λ̄ as ``keel population refit`` would learn it now."""
    artifact = target.profiles.artifact
    everybody = asyncio.run(collected(target.settings.data_dir, "local", artifact, per_person=50))
    return improved(crowd_of([evidence for _, evidence in everybody]), artifact)


def _traces(target: Target) -> list[str]:
    """Places that still contain the person's name or note, or still serve an answer of theirs."""
    marks = (GONE.encode(), NOTE.encode())
    files = [path for path in target.settings.data_dir.rglob("*") if path.is_file()]
    found = [f"{path.name} holds them" for path in files if any(mark in path.read_bytes() for mark in marks)]
    pages = {path: target.http.get(path) for path in ("/metrics", "/info", "/v1/appeals")}
    found += [f"{path} shows them" for path, reply in pages.items() if any(mark in reply.content for mark in marks)]
    for part in ("profile", "export"):
        if (status := target.http.get(f"/v1/users/{GONE}/{part}").status_code) != 404:
            found.append(f"{part}: {status}")
    score = {"prompts": ["p"], "completions": ["Some text."], "user_id": GONE}
    if (status := target.http.post("/v1/score", json=score).status_code) != 404:
        found.append(f"score: {status}")
    return found
