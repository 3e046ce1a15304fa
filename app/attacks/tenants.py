"""Somebody else's person: routes with another tenant's key, and λ read back from scores.

Scores are linear in φ, so K independent ones give λ_g exactly: whoever may ask for a person's scores knows the person.
These attacks make keys, after which the service answers nobody without one; they come last.
"""

import httpx
import torch

from app.attacks.attack import Attack, counted
from app.attacks.people import answer, by_taste, tastes
from app.attacks.target import SEED, Target

OWNER, STRANGER, VICTIM = "owner", "stranger", "victim"
ANSWERS = 4
EXACT = 1e-6


def tenants(target: Target) -> list[Attack]:
    """A person's data reached by another tenant's key, and λ read from scores by the owner's key."""
    owner, stranger = ({"Authorization": f"Bearer {_key(target, name)}"} for name in (OWNER, STRANGER))
    chooser = by_taste(target, tastes(target, 1)[0], torch.Generator().manual_seed(SEED))
    answer(target, VICTIM, chooser, ANSWERS, owner)
    before = _profile(target, owner)
    deviations = [
        f"{reply.request.method} {reply.request.url.path}: {reply.status_code}"
        for reply in _intrusions(target, stranger)
        if reply.status_code != 404
    ]
    nobody = target.http.get(f"/v1/users/{VICTIM}/profile")
    if nobody.status_code != 401:
        deviations.append(f"without a key: {nobody.status_code}")
    if _profile(target, owner).content != before.content:
        deviations.append("the profile changed")
    read = _recovered(target, stranger)
    return [
        counted("another tenant's key on a person's routes", deviations),
        counted("λ from K score queries by another tenant", ["λ was read"] if read is not None else []),
        Attack("λ from K score queries by its own tenant", _error(target, owner), EXACT, "largest error, nats: exact"),
    ]


def _key(target: Target, tenant: str) -> str:
    _, presented = target.run(target.service.keys.create(tenant))
    return presented


def _profile(target: Target, headers: dict[str, str]) -> httpx.Response:
    return target.http.get(f"/v1/users/{VICTIM}/profile", headers=headers).raise_for_status()


def _intrusions(target: Target, headers: dict[str, str]) -> list[httpx.Response]:
    """Every route that names a person and does not begin one."""
    user, one = f"/v1/users/{VICTIM}", {"prompt": "p", "user_id": VICTIM}
    false = {"question_id": "q_" + "0" * 16, "choice": "left"}
    calls = (
        ("GET", f"{user}/profile", None),
        ("GET", f"{user}/export", None),
        ("POST", f"{user}/answers", false),
        ("DELETE", f"{user}/answers/last", None),
        ("DELETE", user, None),
        ("POST", "/v1/score", {"prompts": ["p"], "completions": ["Some text."], "user_id": VICTIM}),
        ("POST", "/v1/rank", one | {"candidates": ["Some text.", "Other text."]}),
        ("POST", "/v1/compare", one | {"a": "Some text.", "b": "Other text."}),
    )
    return [target.http.request(method, path, json=body, headers=headers) for method, path, body in calls]


def _recovered(target: Target, headers: dict[str, str]) -> torch.Tensor | None:
    """λ_g (K,) solved from scores of known texts over HTTP; None where they are refused."""
    texts = [(p.conversation.last_user, a.text) for p in target.texts[:8] for a in p.answers]
    asked, said = (list(part) for part in zip(*texts, strict=True))
    body = {"prompts": asked, "completions": said, "user_id": VICTIM}
    reply = target.http.post("/v1/score", json=body, headers=headers)
    if reply.status_code != 200:
        return None
    rewards = torch.tensor(reply.json()["rewards"], dtype=torch.float64)
    found: torch.Tensor = torch.linalg.lstsq(target.rows(asked, said).phi, rewards).solution
    return found


def _error(target: Target, headers: dict[str, str]) -> float:
    found = _recovered(target, headers)
    known = target.profile(VICTIM, OWNER).guarded.coefficients
    return float("inf") if found is None else float((found - known).abs().max())
