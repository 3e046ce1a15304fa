"""Input of an audit from people's profiles: coefficients, predictions before each answer, and judged pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from app.profiles.profiles import Profile, Profiles
from app.storage.store import Question
from elicitation.choice import OUTCOMES, Choice
from elicitation.predict import predict
from reward_bases.artifact import Artifact
from safeguards.audit_reference import Served
from safeguards.metrics import Predictions
from safeguards.policy_errors import JudgedPairs

EARLY_ANSWERS = 5
COHORTS = (f"answers 1 to {EARLY_ANSWERS}", f"answers after {EARLY_ANSWERS}")
KNOWN = (f"at most {EARLY_ANSWERS} answers", f"over {EARLY_ANSWERS} answers")
LEFT, SAME, RIGHT = range(3)


@dataclass(frozen=True, eq=False)
class Subject:
    """Somebody who has answered something, with the questions they were asked, by id."""

    profile: Profile
    questions: Mapping[str, Question]


def served_coefficients(subjects: Sequence[Subject], profiles: Profiles, truth: int | None) -> Served:
    """Everybody's served coefficients."""
    rows = [subject.profile.guarded.coefficients for subject in subjects]
    k = profiles.artifact.basis.k
    return Served(
        aggregate=profiles.artifact.population.mean,
        people=torch.stack(rows) if rows else torch.zeros(0, k, dtype=torch.float64),
        reference=profiles.policy.reference,
        protected=profiles.policy.protected,
        truth=truth,
        cohorts=tuple(KNOWN[len(subject.profile.answers) > EARLY_ANSWERS] for subject in subjects),
    )


def predictions(subjects: Sequence[Subject], profiles: Profiles) -> Predictions | None:
    """Predictions before each answer that moves λ, beside the aggregate's."""
    profiled = [(n, subject.profile) for n, subject in enumerate(subjects)]
    moving = [(n, profile, row) for n, profile in profiled for row in profile.evidence.moving]
    if not moving:
        return None
    answers = [profile.answers[row] for _, profile, row in moving]
    differences = torch.stack([profile.evidence.differences[row] for _, profile, row in moving])
    return Predictions(
        probabilities=torch.tensor([answer.predicted for answer in answers], dtype=torch.float64),
        chosen=torch.tensor([OUTCOMES.index(answer.choice) for answer in answers]),
        person=torch.tensor([n for n, _, _ in moving]),
        cohorts=tuple(COHORTS[row >= EARLY_ANSWERS] for _, _, row in moving),
        aggregate=predict(profiles.aggregate.posterior, profiles.artifact.choice_model, differences),
    )


def judged_pairs(subjects: Sequence[Subject], artifact: Artifact) -> JudgedPairs | None:
    """Every choice of a side, with the served rewards of all bank answers to its prompt.

    The prediction is the one made before the answer; the policy that visits the answers follows the reward of now.
    """
    prompts = {prompt.id: [answer.id for answer in prompt.answers] for prompt in artifact.bank.prompts}
    rewards, places, wrong, person = [], [], [], []
    for n, subject in enumerate(subjects):
        for answer in subject.profile.answers:
            question = subject.questions[answer.question_id]
            shown = prompts.get(question.prompt_id, [])
            if answer.choice not in (Choice.LEFT, Choice.RIGHT) or question.left_id not in shown:
                continue
            sides = [shown.index(question.left_id), shown.index(question.right_id)]
            chose_left = answer.choice is Choice.LEFT
            ahead = answer.predicted[LEFT] - answer.predicted[RIGHT]
            phi = torch.stack([artifact.bank_phi[identifier] for identifier in shown])
            rewards.append(phi @ subject.profile.guarded.coefficients)
            places.append(sides if chose_left else sides[::-1])
            wrong.append(ahead < 0 if chose_left else ahead > 0)
            person.append(n)
    if not rewards:
        return None
    chosen, other = torch.tensor(places).unbind(1)
    return JudgedPairs(torch.stack(rewards), chosen, other, torch.tensor(wrong), torch.tensor(person))
