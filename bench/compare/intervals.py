"""95 % intervals by bootstrap over people, who are held out in several seeds and are drawn with all of them.

A suite's value is the mean over its conversations (names of worlds) of the mean over seeds. People are drawn with
replacement within each conversation; the conversations stay, so intervals speak of other people in the same ones. All
methods are measured on the same draws, so that differences between two of them on the same people are paired.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.compare.measure import Array, Measure, Tally
from elicitation.errors import InvalidInput

REPLICATES = 1000
COVERAGE = 0.95
TENTH = 0.1
OWN_TARGETS, OWN_PEOPLE = 10, 10
"""A person's own accuracy is over at least so many targets in all seeds, the worst tenth of at least so many people."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One method in one world: numbers of ``people`` (P,) within the conversation, and their tallies per stage."""

    name: str
    seed: int
    people: NDArray[np.int64]
    tallies: dict[int, Tally]


def draws(samples: Sequence[Sample], replicates: int = REPLICATES) -> dict[str, tuple[NDArray[np.int64], Array]]:
    """For each conversation its people (P,) and how often each counts (1 + replicates, P); in the first row, once."""
    drawn = {}
    for name in sorted({sample.name for sample in samples}):
        people = np.unique(np.concatenate([sample.people for sample in samples if sample.name == name]))
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        counts = np.random.default_rng(seed).multinomial(len(people), np.full(len(people), 1 / len(people)), replicates)
        drawn[name] = (people, np.vstack([np.ones(len(people)), counts]))
    return drawn


def replicated(
    samples: Sequence[Sample], measures: Mapping[str, Measure], replicates: int = REPLICATES
) -> dict[str, dict[int, Array]]:
    """Per measure and stage the suite's value on everybody, then on every draw (1 + replicates,).

    A world where a measure is undefined (all labels alike) is left out of the means.
    """
    drawn = draws(samples, replicates)
    counts = [drawn[s.name][1][:, np.searchsorted(drawn[s.name][0], s.people)] for s in samples]
    stages = sorted(samples[0].tallies)

    def value(measure: Measure, stage: int) -> Array:
        worlds: dict[str, list[Array]] = {}
        for sample, weights in zip(samples, counts, strict=True):
            worlds.setdefault(sample.name, []).append(measure(sample.tallies[stage], weights))
        return mean([mean(seeds) for seeds in worlds.values()])

    return {name: {stage: value(measure, stage) for stage in stages} for name, measure in measures.items()}


def worst_tenth(samples: Sequence[Sample], replicates: int = REPLICATES) -> dict[int, Array]:
    """Per stage the mean accuracy of the tenth of people with the lowest, on everybody and on every draw.

    A person's accuracy is over their targets in all seeds. Every draw has a worst tenth of its own. Conversations with
    fewer than OWN_PEOPLE people who have OWN_TARGETS targets are left out of the mean.
    """
    found: dict[int, list[Array]] = {stage: [np.full(replicates + 1, np.nan)] for stage in samples[0].tallies}
    for name, (people, weights) in draws(samples, replicates).items():
        own = [sample for sample in samples if sample.name == name]
        targets = _targets(own, people)
        enough = _enough(targets)
        for stage, values in found.items():
            right = _in_all(own, people, [sample.tallies[stage].correct for sample in own])
            if enough.any():
                values.append(lowest_mean(right[enough] / targets[enough], weights[:, enough]))
    return {stage: mean(values) for stage, values in found.items()}


def enough_targets(samples: Sequence[Sample]) -> int:
    """How many people ``worst_tenth`` is about."""
    return sum(
        int(_enough(_targets([sample for sample in samples if sample.name == name], people)).sum())
        for name, (people, _) in draws(samples, 0).items()
    )


def _enough(targets: Array) -> NDArray[np.bool_]:
    """Who (P,) has OWN_TARGETS of the ``targets`` (P,); nobody if fewer than OWN_PEOPLE people have."""
    enough: NDArray[np.bool_] = targets >= OWN_TARGETS
    return enough if enough.sum() >= OWN_PEOPLE else np.zeros_like(enough)


def _targets(samples: Sequence[Sample], people: NDArray[np.int64]) -> Array:
    """Targets (P,) of each of the ``people`` of a conversation in all its ``samples``."""
    first = [next(iter(sample.tallies.values())) for sample in samples]
    return _in_all(samples, people, [tally.positives + tally.negatives for tally in first])


def _in_all(samples: Sequence[Sample], people: NDArray[np.int64], parts: Sequence[Array]) -> Array:
    """Sum over samples of a value per person."""
    total = np.zeros(len(people))
    for sample, part in zip(samples, parts, strict=True):
        np.add.at(total, np.searchsorted(people, sample.people), part)
    return total


def lowest_mean(values: Array, weights: Array, share: float = TENTH) -> Array:
    """Mean (B,) over the lowest ``share`` of the people with ``values`` (P,), counted ``weights`` (B, P) times.

    At the border a person counts in part. NaN where nobody counts.
    """
    order = np.argsort(values, kind="stable")
    counts = weights[:, order]
    mass = share * counts.sum(1, keepdims=True)
    before = counts.cumsum(1) - counts
    used = np.clip(mass - before, 0, counts)
    means: Array = np.divide(used @ values[order], mass[:, 0], out=np.full(len(weights), np.nan), where=mass[:, 0] > 0)
    return means


def shared(one: Sequence[Sample], other: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Both restricted to the worlds and people they have in common; raises InvalidInput where there are none."""
    pairs = []
    for a in one:
        for b in other:
            if (a.name, a.seed) == (b.name, b.seed):
                both = np.intersect1d(a.people, b.people)
                pairs.append((_among(a, both), _among(b, both)))
    if not any(len(a.people) for a, _ in pairs):
        raise InvalidInput("two methods were measured on no common person; run them on the same worlds")
    return [a for a, _ in pairs], [b for _, b in pairs]


def _among(sample: Sample, people: NDArray[np.int64]) -> Sample:
    """Only some of the sample's people, in the order of their numbers."""
    if np.array_equal(sample.people, people):
        return sample
    order = np.argsort(sample.people)
    rows = order[np.searchsorted(sample.people, people, sorter=order)]
    tallies = {stage: tally.of(rows) for stage, tally in sample.tallies.items()}
    return Sample(sample.name, sample.seed, people, tallies)


def interval(values: Array) -> tuple[float, float]:
    """Percentile interval of the draws in ``values`` (1 + replicates,); NaN where no draw has a value."""
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def mean(parts: Sequence[Array]) -> Array:
    """Element by element over the parts that are defined there."""
    stacked = np.stack(parts)
    defined = np.isfinite(stacked)
    count = defined.sum(0)
    total = np.where(defined, stacked, 0.0).sum(0)
    average: Array = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return average
