"""People of the shipped population, and what they answer about the shipped bank."""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from app.storage.store import Answer, PersonKey, Question, Store, now
from elicitation.choice import OUTCOMES, Choice, Outcomes
from elicitation.crowd import Crowd
from elicitation.population import Population
from reward_bases.artifact import load_artifact
from reward_bases.train.model.learn import LearnSettings

SHIPPED = load_artifact()
POOL = [
    (prompt, prompt.answers[i], prompt.answers[i + 1])
    for prompt in SHIPPED.bank.part("questions")
    for i in range(0, len(prompt.answers) - 1, 2)
]
DIFFERENCES = torch.stack([SHIPPED.bank_phi[a.id] - SHIPPED.bank_phi[b.id] for _, a, b in POOL])
LEARNING = LearnSettings(components=1, covariance_scale=0.7, seed=3)
MODEL = replace(SHIPPED.choice_model, lapse=0.02, log_consistency_std=LEARNING.consistency)
CARD = {"choice_model": asdict(MODEL)}


def tastes(count: int, population: Population, generator: torch.Generator) -> Tensor:
    """Coefficients (count, K) of people."""
    values, vectors = torch.linalg.eigh(population.covariance)
    noise = torch.randn(count, population.k, generator=generator, dtype=torch.float64)
    people: Tensor = population.mean + (noise * values.clamp_min(0).sqrt()) @ vectors.T
    return people


def columns(people: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """What the people (P, K) answer about the pairs ``rows`` (P, n): columns of OUTCOMES (P, n)."""
    z = torch.einsum("pnk,pk->pn", DIFFERENCES[rows], people) + SHIPPED.choice_model.side_bias
    p = SHIPPED.choice_model.probabilities(z)
    return torch.multinomial(p.flatten(0, 1), 1, generator=generator).reshape(rows.shape)


def asked(count: int, answers: int, generator: torch.Generator) -> Tensor:
    """Distinct pairs of distinct prompts (count, answers)."""
    first = torch.tensor([i for i, (prompt, *_) in enumerate(POOL) if i == 0 or POOL[i - 1][0].id != prompt.id])
    return torch.stack([first[torch.randperm(len(first), generator=generator)[:answers]] for _ in range(count)])


def crowd_in(count: int, answers: int, seed: int) -> Crowd:
    generator = torch.Generator().manual_seed(seed)
    rows = asked(count, answers, generator)
    column = columns(tastes(count, SHIPPED.population, generator), rows, generator)
    choices = [OUTCOMES[c] for c in column.flatten().tolist()]
    people = torch.arange(count).repeat_interleave(answers)
    return Crowd(DIFFERENCES[rows.flatten()], people, Outcomes.of(choices, [None] * len(choices)), count)


def question(pair: int, number: int) -> Question:
    """A question about a pair of POOL, the ``number``-th, from 0, that somebody was asked."""
    prompt, left, right = POOL[pair]
    texts = {"left": left.text, "right": right.text, "left_digest": "0", "right_digest": "1"}
    versions = {"bank_version": SHIPPED.bank.version, "basis_version": SHIPPED.basis.version}
    return Question(
        question_id=f"q_{number}",
        number=number + 1,
        asked_after=number,
        prompt_id=prompt.id,
        conversation=({"role": "user", "content": prompt.conversation.last_user},),
        left_id=left.id,
        right_id=right.id,
        **texts,
        **versions,
        rule="random",
        seed=0,
        expected_gain=0.0,
        unit="nats",
        population_version=SHIPPED.population_version,
        profile_version="0-abc",
        asked_at=now(),
    )


def answer(choice: Choice, number: int) -> Answer:
    """The answer to question ``number``."""
    return Answer(number + 1, f"a_{number}", f"q_{number}", choice, None, None, (0.4, 0.2, 0.4), None, "d", now())


async def join(store: Store, key: PersonKey) -> None:
    """Somebody visits and answers once."""
    await store.visit(key)
    await store.append(key, answer(Choice.SAME, 0))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
