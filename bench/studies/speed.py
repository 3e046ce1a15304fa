"""Speed of the service beside baselines, measured in turns within one run.

cached    items per second of POST /v1/score with 256 items that were scored before
uncached  items per second of the same route with texts not seen before, beside the bare encoder on the same texts
question  milliseconds to choose the next question by iopt from 100,000 pairs at K = 32, and to refit to 10 answers
          before; beside them BoTorch's PairwiseGP (linear kernel) refitted to the same answers with EUBO on the pool;
          Keel has the pool in single precision, PairwiseGP in double, for which BoTorch asks
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch

from app.demo.session import service
from bench.compare.peers.gp import ends, eubo, fitted, linear_kernel
from elicitation.acquisition import Rule, choose
from elicitation.choice import Choice, ChoiceModel
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, infer
from keel import Client
from reward_bases.artifact import DEFAULT
from reward_bases.bank import load_bank
from reward_bases.sources.encoder_files import load_encoder

ITEMS = 256
CACHED_ROUNDS, UNCACHED_ROUNDS, QUESTION_ROUNDS = 30, 5, 21
PAIRS, HEADS, TARGETS, ANSWERS = 100_000, 32, 2_000, 10
GP_PAIRS_AT_ONCE = 10_000


def run() -> dict[str, Any]:
    """All three measurements; medians over rounds."""
    with service() as client:
        return {**uncached(client), **cached(client), **question()}


def texts(mark: str) -> tuple[list[str], list[str]]:
    """256 prompts and bank answers that ``mark`` makes new to every cache."""
    rows = [(p.conversation.last_user, a.text) for p in load_bank(DEFAULT / "bank.json").prompts for a in p.answers]
    return [f"{prompt} ({mark})" for prompt, _ in rows[:ITEMS]], [f"{text} ({mark})" for _, text in rows[:ITEMS]]


def uncached(client: Client) -> dict[str, Any]:
    """The service and the bare encoder take turns on the same fresh texts."""
    encoder = load_encoder()
    warm = texts("warm-up")
    client.score(*warm)
    encoder.encode(warm[1])
    served, bare = [], []
    for i in range(UNCACHED_ROUNDS):
        prompts, completions = texts(f"round {i}")
        distinct = sorted(set(prompts)) + completions
        bare.append(_seconds(partial(encoder.encode, distinct)))
        served.append(_seconds(partial(client.score, prompts, completions)))
    return {
        "uncached_items_per_second": round(ITEMS / median(served), 1),
        "encoder_items_per_second": round(ITEMS / median(bare), 1),
        "uncached_ratio": round(median(b / s for b, s in zip(bare, served, strict=True)), 3),
    }


def cached(client: Client) -> dict[str, Any]:
    prompts, completions = texts("cached")
    client.score(prompts, completions)
    spent = [_seconds(lambda: client.score(prompts, completions)) for _ in range(CACHED_ROUNDS)]
    return {"cached_items_per_second": round(ITEMS / median(spent))}


def question() -> dict[str, Any]:
    """Keel and PairwiseGP take turns on the same answers and the same pool."""
    generator = torch.Generator().manual_seed(0)
    single = torch.randn(PAIRS, HEADS, generator=generator)
    pool = single.double()
    targets = torch.randn(TARGETS, HEADS, generator=generator, dtype=torch.float64)
    identity = torch.eye(HEADS, dtype=torch.float64)
    population = Population((Component(1.0, torch.zeros(HEADS, dtype=torch.float64), identity),))
    taste = torch.randn(HEADS, generator=generator, dtype=torch.float64)
    choices = tuple(Choice.LEFT if likes else Choice.RIGHT for likes in pool[:ANSWERS] @ taste > 0)
    evidence = Evidence(pool[:ANSWERS], choices, (None,) * ANSWERS)
    order = torch.tensor([[0, 1] if choice is Choice.LEFT else [1, 0] for choice in choices])
    comparisons = order + 2 * torch.arange(ANSWERS)[:, None]
    points, pairs = ends(pool[:ANSWERS]).flatten(0, 1), ends(pool)
    allowed = torch.ones(PAIRS, dtype=torch.bool)
    posterior = infer(population, ChoiceModel(), evidence)

    def ask() -> None:
        choose(Rule.IOPT, posterior, ChoiceModel(), single, allowed, targets, generator)

    def refit() -> None:
        infer(population, ChoiceModel(), evidence)

    def gaussian_process() -> None:
        model = fitted(points, comparisons, linear_kernel)
        with torch.no_grad():
            for part in pairs.split(GP_PAIRS_AT_ONCE):
                eubo(model, part)

    calls = (ask, refit, gaussian_process)
    for call in calls:
        call()
    asking, refitting, peer = zip(*([_seconds(call) for call in calls] for _ in range(QUESTION_ROUNDS)), strict=True)
    return {
        "question_ms_100k_pairs": round(1000 * median(asking), 1),
        "refit_ms_10_answers": round(1000 * median(refitting), 1),
        "pairwise_gp_refit_and_eubo_ms": round(1000 * median(peer), 1),
        "question_speedup_over_pairwise_gp": round(median(p / a for a, p in zip(asking, peer, strict=True)), 1),
        "refit_and_question_speedup_over_pairwise_gp": round(
            median(p / (a + r) for a, r, p in zip(asking, refitting, peer, strict=True)), 1
        ),
    }


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
