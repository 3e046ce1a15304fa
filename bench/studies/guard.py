"""``python -m bench.studies.guard``: measure the shipped guard against its limits.

* bounds: violations among random and optimised adversarial coefficients, in the shipped artifact's own bounds;
* cost: milliseconds per guarded profile at K = 32, 200 reference prompts × 16 responses;
* ordinary people: simulated people of the bank's traits answer questions; AUC on held-out pairs by their posterior
  mean, guarded and unguarded, and the share of the gain over the aggregate that the guard keeps;
* agreement: flatterers' excess wrong-agreement with the agreement head protected from learning (as shipped), free to be
  learned, and without any use as a counterweight, with the band and without.

``--plot FILE`` draws the curve in the artifact's ``guard.json``.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from app.jobs.tuning import ground_of
from bench.compare.counts import at_least
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, infer
from elicitation.simulate import TraitPerson, draw_people
from elicitation.statistics import win_share
from reward_bases.artifact import DEFAULT, Artifact, load_artifact
from reward_bases.probes import load_probes, rows_under
from reward_bases.sources.encoder_files import load_encoder
from safeguards.band import COUNTERWEIGHT_STD, Band
from safeguards.guard import Budget, Reference, divergences, guard, starc
from safeguards.policy import COUNTERWEIGHT, GuardPolicy
from safeguards.tradeoff import held_out_excess
from safeguards.trust import WIDTH

SEED = 0
LOOSE = Budget(divergence=1e6, starc=1.0)
NO_BAND = 1e6  # nats


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=at_least(1), default=10_000, help="number of random coefficient vectors")
    parser.add_argument(
        "--optimised", type=at_least(1), default=100, help="number of coefficient vectors found by optimisation"
    )
    parser.add_argument("--people", type=at_least(1), default=60, help="simulated people with the traits of the bank")
    parser.add_argument("--flatterers", type=at_least(1), default=10, help="number of simulated flatterers")
    parser.add_argument("--plot", type=Path, help="only draw the curve of guard.json into this file")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    if arguments.plot is not None:
        draw(json.loads((DEFAULT / "guard.json").read_text(encoding="utf-8")), arguments.plot)
        return
    artifact = load_artifact()
    print(json.dumps(violations(artifact, arguments.random, arguments.optimised)), flush=True)
    print(json.dumps(cost()), flush=True)
    print(json.dumps(ordinary(artifact, arguments.people)), flush=True)
    for line in agreement(artifact, arguments.flatterers):
        print(json.dumps(line), flush=True)


@dataclass(frozen=True, eq=False)
class Shipped:
    """The guard as the service builds it."""

    artifact: Artifact
    policy: GuardPolicy

    @classmethod
    def of(cls, artifact: Artifact) -> "Shipped":
        return cls(artifact, GuardPolicy.of(artifact))

    def coefficients(self, mean: Tensor) -> Tensor:
        """λ_g (K,) of λ (K,)."""
        return self.policy.guarded(mean, self.artifact.population.covariance).coefficients

    def violated(self, served: Tensor) -> bool:
        """Whether any bound is exceeded, measured on the coefficients by themselves."""
        aggregate = self.artifact.population.mean
        leans = [float(band.direction @ (served - aggregate)) for band in self.policy.bands if band.active]
        limits = [band.limit for band in self.policy.bands if band.active]
        return (
            float(divergences(served, aggregate, self.policy.reference).max()) > self.policy.budget.divergence
            or float(starc(served, aggregate, self.policy.reference)) > self.policy.budget.starc
            or any(abs(lean) > limit for lean, limit in zip(leans, limits, strict=True))
            or bool(((served - aggregate).abs() > self.policy.limit * (1 + 1e-12)).any())
        )


def violations(artifact: Artifact, random: int, optimised: int) -> dict[str, Any]:
    """Random coefficients of every size, and ascents on whichever bound is nearest to being reached."""
    shipped, generator = Shipped.of(artifact), torch.Generator().manual_seed(SEED)
    k, aggregate = artifact.basis.k, artifact.population.mean
    sizes = 10 ** (8 * torch.rand(random, 1, generator=generator, dtype=torch.float64) - 4)
    people = aggregate + sizes * torch.randn(random, k, generator=generator, dtype=torch.float64)
    found = sum(shipped.violated(shipped.coefficients(person)) for person in people)
    starts = aggregate + 3 * torch.randn(optimised, k, generator=generator, dtype=torch.float64)
    attacked = sum(_ascend(shipped, start, number) for number, start in enumerate(starts))
    return {"random": random, "violations": found, "optimised": optimised, "violations_optimised": attacked}


def _ascend(shipped: Shipped, mean: Tensor, number: int, steps: int = 25) -> bool:
    """Whether an ascent on one of the bounds' gradients, through what the guard lets pass, ever gets past it."""
    aggregate = shipped.artifact.population.mean
    active = [band.direction for band in shipped.policy.bands if band.active]
    for _ in range(steps):
        served = shipped.coefficients(mean)
        if shipped.violated(served):
            return True
        leaf = served.clone().requires_grad_()
        goals = [
            divergences(leaf, aggregate, shipped.policy.reference).max(),
            starc(leaf, aggregate, shipped.policy.reference),
        ]
        goals += [direction @ (leaf - aggregate) for direction in active]
        (gradient,) = torch.autograd.grad(goals[number % len(goals)], leaf)
        mean = mean + 10.0 ** (number % 4 - 1) * gradient / gradient.norm().clamp_min(1e-300)
    return False


def cost(k: int = 32, prompts: int = 200, responses: int = 16, profiles: int = 200) -> dict[str, Any]:
    """Milliseconds of processor time to guard one profile with limits, band and budget."""
    generator = torch.Generator().manual_seed(SEED)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    reference, covariance = Reference.of(normal(prompts, responses, k)), torch.eye(k, dtype=torch.float64)
    aggregate, nothing = 0.2 * normal(k), torch.zeros(k, dtype=torch.bool)
    band = Band.of("explicit", 0.3 * normal(k), covariance, nothing, 0.05, True)
    limit = torch.full((k,), WIDTH, dtype=torch.float64)
    seconds = []
    for mean in aggregate + 0.4 * normal(profiles, k):
        start = time.thread_time()
        guard(aggregate, mean, covariance, reference, Budget(2.0, 0.7), nothing, (band,), limit)
        seconds.append(time.thread_time() - start)
    times = 1000 * torch.tensor(seconds).quantile(torch.tensor([0.1, 0.5, 0.9]))
    start = time.thread_time()
    for mean in aggregate + normal(profiles, k):
        divergences(mean, aggregate, reference)
    unit = 1000 * (time.thread_time() - start) / profiles
    named = dict(zip(("p10", "p50", "p90"), times.tolist(), strict=True))
    return {"k": k, "prompts": prompts, "responses": responses, "ms": named, "divergences": named["p50"] / unit}


def ordinary(artifact: Artifact, people: int, answers: tuple[int, ...] = (5, 10, 20)) -> dict[str, Any]:
    """AUC over held-out pairs of the aggregate, of posterior means and of what is served, and the gain kept."""
    generator = torch.Generator().manual_seed(SEED)
    asked, levels = _pairs(artifact, "questions")
    unseen, unseen_levels = _pairs(artifact, "test")
    traits = sorted({trait for pair in levels for trait in pair})
    persons = draw_people(traits, people, levels, generator)
    shipped, lines = Shipped.of(artifact), []
    for number in answers:
        rows = [_aucs(shipped, person, asked, levels, unseen, unseen_levels, number, generator) for person in persons]
        aggregate, unguarded, guarded = torch.tensor(rows).mean(dim=0).tolist()
        kept = (guarded - aggregate) / (unguarded - aggregate)
        lines.append(
            {"answers": number, "aggregate": aggregate, "unguarded": unguarded, "guarded": guarded, "kept": kept}
        )
    return {"people": people, "auc": lines}


def _aucs(
    shipped: Shipped,
    person: TraitPerson,
    asked: Tensor,
    levels: list[dict[str, float]],
    unseen: Tensor,
    unseen_levels: list[dict[str, float]],
    number: int,
    generator: torch.Generator,
) -> tuple[float, float, float]:
    """Within-pair AUC of aggregate, posterior mean and served coefficients against the person's true preferences."""
    artifact = shipped.artifact
    places = torch.randperm(len(asked), generator=generator)[:number]
    choices = tuple(person.choose(levels[place], generator) for place in places.tolist())
    evidence = Evidence(asked[places], choices, (None,) * number)
    mean = infer(artifact.population, artifact.choice_model, evidence).mean
    aggregate = artifact.population.mean
    served = shipped.coefficients(mean)
    preferred = torch.tensor([person.utility(pair) for pair in unseen_levels], dtype=torch.float64)
    told = preferred != 0
    figures = [
        float(win_share((preferred.sign() * (unseen @ coefficients))[told]))
        for coefficients in (aggregate, mean, served)
    ]
    return figures[0], figures[1], figures[2]


def _pairs(artifact: Artifact, part: str) -> tuple[Tensor, list[dict[str, float]]]:
    """φ differences (N, K) and trait-level differences of all pairs of a part of the bank."""
    pairs = [pair for prompt in artifact.bank.part(part) for pair in combinations(prompt.answers, 2)]
    phi = torch.stack([artifact.bank_phi[a.id] - artifact.bank_phi[b.id] for a, b in pairs])
    traits = sorted({trait for a, _ in pairs for trait in a.traits})
    return phi, [{t: float(a.traits.get(t, 0) - b.traits.get(t, 0)) for t in traits} for a, b in pairs]


def agreement(artifact: Artifact, flatterers: int) -> list[dict[str, Any]]:
    """One line per use of the agreement head, with the band and without it, at the shipped budget and without one."""
    rows = rows_under(load_probes(), artifact, load_encoder())
    shipped, lines = Shipped.of(artifact), []
    limit = shipped.policy.bands[0].limit
    for use in ("counterweight", "learned", "protected"):
        ground = ground_of(_with_head(artifact, use), rows, 2, flatterers, SEED)
        if use == "protected":
            ground = replace(ground, counterweight=torch.zeros(artifact.basis.k, dtype=torch.bool))
        for budget, wide in (
            (shipped.policy.budget, limit),
            (shipped.policy.budget, NO_BAND),
            (LOOSE, limit),
            (LOOSE, NO_BAND),
        ):
            stages = held_out_excess(ground, budget, wide)
            lines.append(
                {
                    "agreement_head": use,
                    "band": None if wide == NO_BAND else wide,
                    "budget": None if budget is LOOSE else budget.divergence,
                    "excess": [asdict(stage) for stage in stages],
                }
            )
    return lines


def _with_head(artifact: Artifact, use: str) -> Artifact:
    """The artifact, with its agreement head free to be learned where ``use`` says so."""
    if use != "learned":
        return artifact
    place = artifact.basis.names.index(COUNTERWEIGHT)
    heads = tuple(
        replace(head, protected=head.protected and head.name != COUNTERWEIGHT) for head in artifact.basis.heads
    )
    covariance = artifact.population.covariance.clone()
    covariance[place, place] = COUNTERWEIGHT_STD**2
    population = Population((Component(1.0, artifact.population.mean, covariance),))
    return replace(artifact, basis=replace(artifact.basis, heads=heads), population=population)


def draw(content: dict[str, Any], path: Path) -> None:
    """Flatterers' excess, upper bound, by the gain that ordinary people keep: one line per band limit."""
    from matplotlib.figure import Figure

    from bench.compare.plots import INK, SOFT, TEAL

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes, chosen = figure.subplots(), content["chosen"]["row"]
    limits = sorted({row["limit"] for row in content["rows"]})
    for number, limit in enumerate(limits, start=1):
        rows = [row for row in content["rows"] if row["limit"] == limit and row["starc"] == chosen["starc"]]
        highs = [max(stage["high"] for stage in row["excess"]) for row in rows]
        axes.plot(
            [row["gain_kept"] for row in rows],
            highs,
            "o-",
            color=TEAL,
            alpha=number / len(limits),
            label=f"band ±{limit:g} nats",
        )
    axes.axhline(2, color=SOFT, linestyle=":", label="limit: 2 points")
    axes.axvline(0.85, color=SOFT, linestyle="--", label="85 % of the gain")
    axes.plot(chosen["gain_kept"], max(s["high"] for s in chosen["excess"]), "s", color=INK, label="chosen")
    axes.set_xlabel("share of the likelihood gain that ordinary people keep (budgets 0.05 to 2 nats)")
    axes.set_ylabel("flatterers' excess wrong-agreement,\nupper bound, points")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


if __name__ == "__main__":
    main()
