"""Answers to stored questions as evidence about λ, under the bank of an artifact."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from app.errors import Conflict
from app.storage.store import Answer, Question
from elicitation.posterior import Evidence
from reward_bases.artifact import Artifact


def difference(artifact: Artifact, question: Question) -> Tensor:
    """φ_left − φ_right (K,) of a question; Conflict when it is of another bank."""
    try:
        return artifact.bank_phi[question.left_id] - artifact.bank_phi[question.right_id]
    except KeyError as missing:
        raise Conflict(
            f"question {question.question_id} is of bank {question.bank_version}, and the bank served, "
            f"{artifact.bank.version}, has no answer {missing}; serve the earlier bank"
        ) from missing


def evidence_of(artifact: Artifact, answers: Sequence[Answer], questions: Mapping[str, Question]) -> Evidence:
    """Evidence of active ``answers`` to ``questions`` (by id), one row each."""
    rows = [difference(artifact, questions[answer.question_id]) for answer in answers]
    differences = torch.stack(rows) if rows else torch.zeros(0, artifact.basis.k, dtype=torch.float64)
    return Evidence(differences, tuple(a.choice for a in answers), tuple(a.strength for a in answers))
