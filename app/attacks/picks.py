"""A service that learns from its own picks: whoever is served answers as the service predicts, round after round."""

import torch
from torch import Tensor

from app.attacks.attack import Attack
from app.attacks.target import SEED, Target
from app.people.pool import Pool
from elicitation.choice import Choice
from elicitation.posterior import Evidence
from safeguards.loop.belief import variance_trace

PEOPLE, OWN, ROUNDS = 6, 3, 50
GROWTH, GAP = 1.5, 0.10


def picks(target: Target) -> list[Attack]:
    """Growth of the variance of guarded λ over ROUNDS, and the quality served against the aggregate (metrics 9 and 5).

    Each person first gives OWN random answers, and from then on takes whichever response the service ranks
    first. The bank has fewer prompts than the rounds need, so the service's fit and guard are driven without asking.
    """
    courses = [_course(target, torch.Generator().manual_seed(SEED + person)) for person in range(PEOPLE)]
    start, end = (torch.stack([course[place] for course in courses]) for place in (0, -1))
    growth = float(variance_trace(end) / variance_trace(start))
    name = f"fed its own picks for {ROUNDS} rounds"
    return [
        Attack(f"{name}: growth of variance", growth, GROWTH, "times"),
        Attack(f"{name}: quality served", _gap(target, end), GAP, "SD below the aggregate"),
    ]


def _course(target: Target, generator: torch.Generator) -> list[Tensor]:
    """Guarded λ (K,) of one person after their own answers and after every round."""
    artifact = target.profiles.artifact
    pool = Pool.of(artifact).differences
    shown = pool[torch.randint(len(pool), (OWN + ROUNDS,), generator=generator)]
    choices = [Choice.LEFT if side else Choice.RIGHT for side in torch.randint(2, (OWN,), generator=generator).tolist()]
    course = []
    for answered in range(OWN, OWN + ROUNDS + 1):
        evidence = Evidence(shown[:answered], tuple(choices), (None,) * answered)
        (fitted,) = target.profiles.model.fit([evidence])
        coefficients = fitted.guarded.coefficients
        course.append(coefficients)
        if answered < len(shown):
            choices.append(Choice.LEFT if float(shown[answered] @ coefficients) > 0 else Choice.RIGHT)
    return course


def _gap(target: Target, people: Tensor) -> float:
    """Quality of the first-ranked reference response, below that of the aggregate's, in SD within prompts."""
    reference = target.profiles.policy.reference
    quality = reference.centred[..., target.profiles.artifact.basis.names.index("quality")]

    def picked(coefficients: Tensor) -> Tensor:
        first = (reference.centred @ coefficients).argmax(1)
        return quality.gather(1, first[:, None]).mean()

    served = torch.stack([picked(coefficients) for coefficients in people]).mean()
    return float((picked(target.aggregate) - served) / quality.std())
