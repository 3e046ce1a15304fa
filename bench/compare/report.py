"""From trajectories to the one JSON object of a suite: measures with intervals, paired differences, sanity checks.

What slow methods played with few people is compared with others on exactly these people.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.compare.intervals import REPLICATES, Sample, enough_targets, interval, mean, replicated, shared, worst_tenth
from bench.compare.measure import MEASURES, Array, Measure, tally
from bench.compare.simulate import AS_RECORDED, Distortion, Trajectory

KEEL, PREF = "keel", "pref"
WORST = "worst_tenth"
DIFFERED = ("auc", "accuracy", "nll", "best_of_4", WORST)
"""Measures that differences are taken of."""
FEWER_ANSWERS = ((5, PREF, 10), (5, PREF, 20), (10, PREF, 20), (5, "keel-random", 10))
"""Keel after the first number of answers beside another method after the second."""
CONFIDENT = 1.0
"""A prediction of the personal part is confident when it is this many posterior standard deviations from 0."""
DIGITS = 5

Curves = dict[str, dict[int, Array]]


def report(suite: str, trajectories: Sequence[Trajectory], replicates: int = REPLICATES) -> dict[str, Any]:
    """The object; a number that is undefined is None."""
    results = _Results(trajectories, replicates)
    return {
        "suite": suite,
        "people": results.people,
        "seeds": len({trajectory.seed for trajectory in trajectories}),
        "stages": list(results.stages),
        "replicates": replicates,
        "methods": {name: results.method(name) for name in results.names},
        "differences": {f"{KEEL} - {name}": results.difference(name) for name in results.rivals(KEEL)},
        "fewer_answers": results.fewer_answers(),
        "worlds": results.worlds(),
        f"answers_to_{PREF}_20": results.answers_to_pref(),
        "reversed_flips": results.reversed_flips(),
        "label_flips": results.label_flips(),
    }


class _Results:
    """Courses as samples, and what was computed from them."""

    def __init__(self, trajectories: Sequence[Trajectory], replicates: int) -> None:
        self.trajectories = trajectories
        self.replicates = replicates
        self.samples = {
            (method, distortion): samples_of(
                c for c in trajectories if (c.method, c.distortion) == (method, distortion)
            )
            for method, distortion in dict.fromkeys((c.method, c.distortion) for c in trajectories)
        }
        self.names = [method for method, distortion in self.samples if distortion == AS_RECORDED]
        self.stages = sorted(trajectories[0].predictions)
        self.people = max(_people(self.samples[name, AS_RECORDED]) for name in self.names)
        self.known: dict[tuple[str, Distortion], Curves] = {}

    def curves(self, name: str, distortion: Distortion = AS_RECORDED) -> Curves:
        """All measures of a method on everybody it met."""
        if (name, distortion) not in self.known:
            self.known[name, distortion] = self.measured(self.samples[name, distortion], MEASURES)
        return self.known[name, distortion]

    def pair(self, one: str, other: str) -> tuple[Curves, Curves, list[Sample]]:
        """Curves of two methods on the people both met, and these."""
        mine, theirs = self.samples[one, AS_RECORDED], self.samples[other, AS_RECORDED]
        if _met(mine) == _met(theirs):
            return self.curves(one), self.curves(other), mine
        mine, theirs = shared(mine, theirs)
        measures = {name: MEASURES[name] for name in DIFFERED if name != WORST}
        return self.measured(mine, measures), self.measured(theirs, measures), mine

    def measured(self, samples: Sequence[Sample], measures: Mapping[str, Measure]) -> Curves:
        """The ``measures`` and the accuracy of the worst tenth."""
        return {**replicated(samples, measures, self.replicates), WORST: worst_tenth(samples, self.replicates)}

    def rivals(self, name: str) -> list[str]:
        return [other for other in self.names if other != name] if name in self.names else []

    def method(self, name: str) -> dict[str, Any]:
        curves = self.curves(name)
        result: dict[str, Any] = {}
        for measure, curve in curves.items():
            result[measure] = {str(k): _rounded(values[0]) for k, values in curve.items()}
            result[f"{measure}_ci"] = {str(k): _ci(values) for k, values in curve.items()}
        result["worst_tenth_people"] = enough_targets(self.samples[name, AS_RECORDED])
        auc = curves["auc"]
        result["gain"] = {str(k): _estimate(auc[k] - auc[self.stages[0]]) for k in self.stages[1:]}
        own = [c for c in self.trajectories if (c.method, c.distortion) == (name, AS_RECORDED)]
        result["ms_per_question"] = _rounded(float(np.mean([trajectory.milliseconds for trajectory in own])))
        people, seeds = _people(self.samples[name, AS_RECORDED]), len({trajectory.seed for trajectory in own})
        whole = _met(self.samples[name, AS_RECORDED]) == self._everybody()
        result["subsample"] = None if whole else {"people": people, "seeds": seeds}
        return result

    def difference(self, other: str) -> dict[str, Any]:
        """Keel minus ``other``, per stage."""
        mine, theirs, people = self.pair(KEEL, other)
        result: dict[str, Any] = {"people": _people(people), "seeds": len({sample.seed for sample in people})}
        for k in self.stages:
            by_measure = {measure: _estimate(mine[measure][k] - theirs[measure][k]) for measure in DIFFERED}
            result[str(k)] = {**by_measure.pop("auc"), **by_measure}
        return result

    def fewer_answers(self) -> dict[str, Any]:
        result = {}
        for early, other, late in FEWER_ANSWERS:
            if other in self.rivals(KEEL) and {early, late} <= set(self.stages):
                mine, theirs, _ = self.pair(KEEL, other)
                label = f"{KEEL} at {early} - {other} at {late}"
                result[label] = _estimate(mine["auc"][early] - theirs["auc"][late])
        return result

    def worlds(self) -> dict[str, Any]:
        """AUC of every method in every conversation, mean over seeds."""
        result: dict[str, Any] = {}
        for method in self.names:
            samples = self.samples[method, AS_RECORDED]
            for name in dict.fromkeys(sample.name for sample in samples):
                own = [sample for sample in samples if sample.name == name]
                aucs = {str(k): _rounded(float(mean([_auc(s, k) for s in own])[0])) for k in self.stages}
                result.setdefault(name, {})[method] = {"auc": aucs}
        return result

    def answers_to_pref(self) -> dict[str, float | None]:
        """Answers each method needs for the AUC that PReF has after its last question on the same people."""
        if PREF not in self.names:
            return {}
        result = {}
        for name in self.names:
            mine, theirs, _ = self.pair(name, PREF)
            curve = {k: float(values[0]) for k, values in mine["auc"].items()}
            result[name] = answers_needed(curve, float(theirs["auc"][self.stages[-1]][0]))
        return result

    def reversed_flips(self) -> float | None:
        """Of the confident predictions of Keel's personal part the share that turned with the answers."""
        plain = {(c.world, c.seed, c.fold): c.personal for c in self._distorted(AS_RECORDED)}
        flipped, confident = 0, 0
        for trajectory in self._distorted(Distortion(turned=True)):
            before, after = plain.get((trajectory.world, trajectory.seed, trajectory.fold)), trajectory.personal
            if before is not None and after is not None:
                sure = np.abs(before) >= CONFIDENT
                confident += int(sure.sum())
                flipped += int((sure & (np.sign(before) == -np.sign(after))).sum())
        return _rounded(flipped / confident) if confident else None

    def label_flips(self) -> dict[str, Any]:
        """Keel's AUC by share of flipped answers."""
        result = {}
        for method, distortion in self.samples:
            if method == KEEL and not distortion.turned:
                auc = self.curves(KEEL, distortion)["auc"]
                result[f"{distortion.flipped:g}"] = {
                    "auc": {str(k): _rounded(values[0]) for k, values in auc.items()},
                    "auc_ci": {str(k): _ci(values) for k, values in auc.items()},
                }
        return result

    def _distorted(self, distortion: Distortion) -> list[Trajectory]:
        return [c for c in self.trajectories if (c.method, c.distortion) == (KEEL, distortion)]

    def _everybody(self) -> set[tuple[str, int, int]]:
        return set().union(*(_met(self.samples[name, AS_RECORDED]) for name in self.names))


def answers_needed(curve: dict[int, float], level: float) -> float | None:
    """Answers after which ``curve`` first reaches ``level``, linear between stages; None when it does not."""
    before: int | None = None
    for k in sorted(curve):
        if curve[k] >= level:
            if before is None:
                return float(k)
            share = (level - curve[before]) / (curve[k] - curve[before])
            return round(before + share * (k - before), 2)
        before = k
    return None


def samples_of(trajectories: Iterable[Trajectory]) -> list[Sample]:
    """One method's samples, one for each seed of a world: the predictions of its folds are measured together."""
    seeds: dict[tuple[str, int], list[Trajectory]] = {}
    for trajectory in trajectories:
        seeds.setdefault((trajectory.world, trajectory.seed), []).append(trajectory)
    return [_sample(folds) for folds in seeds.values()]


def _sample(folds: Sequence[Trajectory]) -> Sample:
    """Each person's sums, by number of answers; nobody is in two of the folds."""
    sizes = [len(fold.people) for fold in folds]
    starts = np.cumsum([0, *sizes[:-1]])
    owners = np.concatenate([fold.owners + start for fold, start in zip(folds, starts, strict=True)])
    labels = np.concatenate([fold.labels for fold in folds])
    tallies = {
        k: tally(
            np.concatenate([fold.predictions[k] for fold in folds]),
            labels,
            owners,
            sum(sizes),
            np.concatenate([fold.best[k] for fold in folds]),
        )
        for k in folds[0].predictions
    }
    return Sample(folds[0].world, folds[0].seed, np.concatenate([fold.people for fold in folds]), tallies)


def _met(samples: Sequence[Sample]) -> set[tuple[str, int, int]]:
    return {(sample.name, sample.seed, int(person)) for sample in samples for person in sample.people}


def _people(samples: Sequence[Sample]) -> int:
    return len({(name, person) for name, _, person in _met(samples)})


def _auc(sample: Sample, stage: int) -> Array:
    return MEASURES["auc"](sample.tallies[stage], np.ones((1, len(sample.people))))


def _estimate(values: Array) -> dict[str, Any]:
    return {"mean": _rounded(values[0]), "ci": _ci(values)}


def _ci(values: Array) -> list[float | None]:
    return [_rounded(end) for end in interval(values)]


def _rounded(value: float) -> float | None:
    return round(float(value), DIGITS) if math.isfinite(value) else None
