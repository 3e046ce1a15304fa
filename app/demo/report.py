"""Trajectories to numbers: AUC by number of answers with intervals over people, gaps closed, picks, guard and audit."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from app.demo.session import STAGES, Trajectory
from app.demo.world import Person, Test
from elicitation.statistics import mean_interval, win_share

BOOTSTRAPS = 2000
CURVES = ("keel", "random", "unguarded")


def curve(
    people: Sequence[Person], trajectories: Sequence[Trajectory], test: Test, noisy: bool, raw: bool = False
) -> Tensor:
    """AUC (people, stages)."""
    rows = [
        [person.auc(trajectory[k].raw if raw else trajectory[k].guarded, test, noisy) for k in STAGES]
        for person, trajectory in zip(people, trajectories, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def oracle(people: Sequence[Person], test: Test, noisy: bool) -> Tensor:
    """AUC (people,) of someone who knows the hidden weights."""
    return torch.tensor([person.auc(person.utilities, test, noisy) for person in people], dtype=torch.float64)


def interval(values: Tensor, seed: int = 0) -> list[float]:
    """95 % bootstrap interval of the mean of ``values`` (people,)."""
    generator = torch.Generator().manual_seed(seed)
    found = mean_interval(values, BOOTSTRAPS, generator)
    return [round(found.low, 4), round(found.high, 4)]


def gap_closed(auc: Tensor, best: Tensor, answers: int) -> float:
    """Share of the way from the mean AUC without answers to the oracle's that ``answers`` answers go."""
    start = auc[:, 0].mean()
    return round(float((auc[:, STAGES.index(answers)].mean() - start) / (best.mean() - start)), 4)


def arm(people: Sequence[Person], test: Test, trajectories: Mapping[str, Sequence[Trajectory]]) -> dict[str, Any]:
    """The numbers of people with one kind of taste; ``trajectories`` by question rule: ``keel`` and ``random``."""
    result: dict[str, Any] = {}
    for name, noisy in (("auc", False), ("auc_noisy", True)):
        curves = {rule: curve(people, trajectories[rule], test, noisy) for rule in trajectories}
        curves["unguarded"] = curve(people, trajectories["keel"], test, noisy, raw=True)
        best = oracle(people, test, noisy)
        result[name] = {rule: _by_stage(values.mean(0)) for rule, values in curves.items()}
        result[name]["oracle"] = round(float(best.mean()), 4)
        if name == "auc":
            result["auc_ci"] = _intervals(curves)
        else:
            result["gap_closed_5"] = gap_closed(curves["keel"], best, 5)
            result["gap_closed_10"] = gap_closed(curves["keel"], best, 10)
            result["gap_closed_10_unguarded"] = gap_closed(curves["unguarded"], best, 10)
            result["auc_noisy_ci"] = _intervals(curves)
    gained, free = (result["auc_noisy"][rule] for rule in ("keel", "unguarded"))
    result["guard_keeps"] = round((gained["10"] - gained["0"]) / (free["10"] - free["0"]), 4)
    return result


def picks(people: Sequence[Person], trajectories: Sequence[Trajectory], test: Test) -> dict[str, Any]:
    """Best of 8 on the test prompts: the person's utility of Keel's pick after 10 answers against the aggregate's."""
    wins, regret = [], []
    for person, trajectory in zip(people, trajectories, strict=True):
        personal, aggregate = (person.picked(trajectory[k].guarded, test) for k in (STAGES[-1], 0))
        best = person.picked(person.utilities, test)
        wins.append(win_share(personal - aggregate))
        regret.append(((best - personal) / (best - aggregate).mean().clamp_min(1e-9)).mean())
    return {
        "win_rate_over_aggregate": round(float(torch.stack(wins).mean()), 4),
        "win_rate_ci": interval(torch.stack(wins)),
        "regret_left": round(float(torch.stack(regret).mean()), 4),
    }


def guarding(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """The largest divergence any profile reached after its last answer, beside the budget."""
    profiles = [trajectory[STAGES[-1]].profile for trajectory in trajectories]
    guards = [profile.guard for profile in profiles if profile is not None]
    alphas = torch.tensor([guard.alpha for guard in guards])
    return {
        "guard_divergence_max": round(max(guard.divergence_max for guard in guards), 6),
        "guard_budget": guards[0].budget["divergence"],
        "guard_starc_max": round(max(guard.starc or 0.0 for guard in guards), 6),
        "guard_starc_budget": guards[0].budget["starc"],
        "guard_alpha_median": round(float(alphas.median()), 4),
        "guard_binds": {
            name: sum(guard.binding == name for guard in guards) for name in {guard.binding for guard in guards}
        },
    }


def _by_stage(values: Tensor) -> dict[str, float]:
    return {str(k): round(float(value), 4) for k, value in zip(STAGES, values, strict=True)}


def _intervals(curves: Mapping[str, Tensor]) -> dict[str, dict[str, list[float]]]:
    rows = {**curves, "keel_minus_random": curves["keel"] - curves["random"]}
    return {name: {str(k): interval(values[:, i]) for i, k in enumerate(STAGES)} for name, values in rows.items()}
