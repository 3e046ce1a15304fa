"""``python -m bench.studies.needed``: how many calls ``sources: "needed"`` saves, and how often it misses the best.

Prompts have 16 candidates each. Their quick heads are drawn from a normal distribution, correlated with each other; a
person weighs them at random. A slow head correlates with the person's quick reward within prompts, and carries a share
of the reward's variance there. Both differ between prompts, too. What quick heads say of the slow one is learned from a
reference set of 200 other prompts, the size of the shipped one. Each run draws heads, person, reference set and prompts
anew. The rows of ``judge`` round the slow head to five levels, as a rubric's scale does; those of ``heavy tails`` draw
its own part from Student's t with four degrees of freedom.

``same pick`` is the share of prompts in which the pick is the best of all 16. Intervals are 95 % over runs.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from statistics import fmean

import torch
from torch import Tensor

from bench.compare.counts import at_least
from bench.compare.terminal import many
from bench.studies.table import add_outputs, give
from safeguards.robust.search import SlowHeads

PROMPTS, CANDIDATES, HEADS = 200, 16, 12
CORRELATION, BETWEEN = 0.5, 0.5
SHARES, DOUBTS = (0.2, 0.5, 0.8), (0.02, 0.05, 0.1, 0.2)
COLUMNS = ("slow head", "its share", "doubt", "same pick", "calls", "doubt left")
Own = Callable[[Sequence[int], torch.Generator], Tensor]


def normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def heavy(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Student's t with four degrees of freedom, standard deviation 1."""
    squares = normal((4, *shape), generator).square().sum(0)
    return normal(shape, generator) / (squares / 4).sqrt() / 2**0.5


def as_is(slow: Tensor) -> Tensor:
    return slow


def judge(slow: Tensor) -> Tensor:
    """Five levels, a standard deviation apart."""
    return slow.round().clamp(-2, 2)


KINDS: dict[str, tuple[Own, Callable[[Tensor], Tensor]]] = {
    "normal": (normal, as_is),
    "heavy tails": (heavy, as_is),
    "judge": (normal, judge),
}


def drawn(kind: str, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """φ of the reference set and of the prompts, (PROMPTS, CANDIDATES, HEADS) each, and a person's λ (HEADS,)."""
    own, shown = KINDS[kind]
    quick = HEADS - 1
    mixing = torch.eye(quick, dtype=torch.float64) + 0.4 * normal((quick, quick), generator)
    weights = normal((quick,), generator)
    sets = 2 * PROMPTS
    heads = normal((sets, CANDIDATES, quick), generator) @ mixing.T
    heads += BETWEEN * normal((sets, 1, quick), generator)
    scale = (mixing.T @ weights).norm()
    slow = CORRELATION * heads @ weights / scale
    slow += (1 - CORRELATION**2) ** 0.5 * own((sets, CANDIDATES), generator)
    slow = shown(slow + BETWEEN * normal((sets, 1), generator))
    phi = torch.cat([heads, slow[..., None]], -1)
    return phi[:PROMPTS], phi[PROMPTS:], torch.cat([weights, (scale * (share / (1 - share)) ** 0.5)[None]])


def searched(phi: Tensor, coefficients: Tensor, heads: SlowHeads, doubt: float) -> tuple[bool, int, float]:
    """Whether the best of one prompt was found, the number of calls, and the doubt that was left."""
    rewards, asked = phi @ coefficients, torch.zeros(len(phi), dtype=torch.bool)
    forecast = heads.forecast(phi, coefficients)
    outlook = forecast.after(asked, rewards)
    while outlook.next is not None and outlook.doubt > doubt:
        asked[outlook.next] = True
        outlook = forecast.after(asked, rewards)
    pick = rewards.where(asked, -torch.inf).max()
    return bool(pick == rewards.max()), int(asked.sum()), outlook.doubt


def measured(kind: str, share: float, doubt: float, seed: int) -> tuple[float, float, float]:
    """Shares of prompts with the same pick and of calls, and the mean doubt left, in one run."""
    reference, prompts, coefficients = drawn(kind, share, torch.Generator().manual_seed(seed))
    heads = SlowHeads.of(reference, torch.arange(HEADS) == HEADS - 1)
    same, calls, left = zip(*(searched(phi, coefficients, heads, doubt) for phi in prompts), strict=True)
    return fmean(same), fmean(calls) / CANDIDATES, fmean(left)


def row(kind: str, share: float, doubt: float, runs: int) -> list[str]:
    found = torch.tensor([measured(kind, share, doubt, seed) for seed in range(runs)], dtype=torch.float64)
    error = 1.96 * found.std(0) / runs**0.5
    cells = [f"{m:.3f} ± {e:.3f}" for m, e in zip(found.mean(0).tolist(), error.tolist(), strict=True)]
    return [kind, f"{share:.1f}", f"{doubt:.2f}", *cells]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.studies.needed", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=at_least(2), default=20)
    add_outputs(parser)
    options = parser.parse_args(arguments)
    every = [(kind, share, doubt) for kind in KINDS for share in SHARES for doubt in DOUBTS]
    title = f"{many(options.runs, 'run')}, {PROMPTS} prompts of {CANDIDATES} candidates each"
    rows = [row(*one, options.runs) for one in every]
    command = f"python -m bench.studies.needed --runs {options.runs}"
    give({"study": "needed", "title": title, "command": command, "columns": COLUMNS, "rows": rows}, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
