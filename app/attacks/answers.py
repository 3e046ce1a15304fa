"""Answers meant to mislead: one false one in ten, the same one twice, and one to a question nobody asked."""

import torch

from app.attacks.attack import Attack, counted, relative_distance
from app.attacks.people import ANSWERS, answer, by_taste, tastes
from app.attacks.target import SEED, Target

PEOPLE = 2
BOUND = 1.0
OTHER = {"left": "right", "right": "left"}


def answers(target: Target) -> list[Attack]:
    """How far the worst single false answer of ten moves a guarded reward, and what replays do."""
    moved = max(_poisoned(target, number) for number in range(PEOPLE))
    return [
        Attack("one adversarial answer in ten", moved, BOUND, "SD of the reward's change over that of the reward"),
        counted("replayed and never issued question ids", _replays(target)),
    ]


def _poisoned(target: Target, number: int) -> float:
    """The same person with and without one false answer, the worst of the ten."""
    user, taste = f"poisoned-{number}", tastes(target, PEOPLE)[number]
    answer(target, user, by_taste(target, taste, torch.Generator().manual_seed(SEED + number)), ANSWERS)
    profile = target.profile(user)
    within = target.profiles.policy.reference.within
    return max(
        relative_distance(profile.guarded.coefficients, target.refitted(profile, flipped).coefficients, within)
        for flipped in range(ANSWERS)
    )


def _replays(target: Target) -> list[str]:
    """The parts of a replay that were not refused or had an effect."""
    user, route = "replayed", "/v1/users/replayed"
    question = target.http.post(f"{route}/questions", json={"seed": SEED}).raise_for_status().json()["question_id"]
    body, key = {"question_id": question, "choice": "left"}, {"Idempotency-Key": "once"}
    first = target.http.post(f"{route}/answers", json=body, headers=key)
    before = target.profile(user)
    replies = {
        "the same key again": (target.http.post(f"{route}/answers", json=body, headers=key), 201),
        "answered question": (target.http.post(f"{route}/answers", json=body), 409),
        "same key, other answer": (
            target.http.post(f"{route}/answers", json=body | {"choice": "right"}, headers=key),
            422,
        ),
        "never issued": (target.http.post(f"{route}/answers", json=body | {"question_id": "q_" + "0" * 16}), 404),
        "somebody else's": (target.http.post("/v1/users/typical-0/answers", json=body), 404),
    }
    wrong = {name: reply.status_code for name, (reply, status) in replies.items() if reply.status_code != status}
    deviations = [f"{name}: {status}" for name, status in wrong.items()]
    if replies["the same key again"][0].json() != first.json():
        deviations.append("a repeat got another reply")
    after = target.profile(user)
    if after.version != before.version or not torch.equal(after.posterior.mean, before.posterior.mean):
        deviations.append("a replay moved λ")
    return deviations
