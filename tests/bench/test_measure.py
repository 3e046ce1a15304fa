"""Measures against scikit-learn, and intervals against brute force and a known truth."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from bench.compare.intervals import Sample, draws, interval, replicated, shared
from bench.compare.measure import BINS, MEASURES, Array, Tally, tally
from elicitation.errors import InvalidInput

PEOPLE = 5


class Crowd:
    """Predictions (rounded, so that some are equal) of unequally many targets of PEOPLE people."""

    def __init__(self, seed: int = 0, people: int = PEOPLE) -> None:
        rng = np.random.default_rng(seed)
        self.owners = np.sort(rng.integers(0, people, 40 * people))
        self.predictions = rng.random(40 * people).round(1)
        self.labels = rng.random(40 * people) < 0.3 + 0.4 * self.predictions
        self.size = people

    @property
    def tally(self) -> Tally:
        return tally(self.predictions, self.labels, self.owners, self.size)

    def repeated(self, counts: Array) -> tuple[Array, Array]:
        """Predictions and labels with every person as often as counted."""
        rows = np.repeat(np.arange(len(self.owners)), counts[self.owners].astype(int))
        return self.predictions[rows], self.labels[rows]


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


WEIGHTS = np.array([[1.0, 1, 1, 1, 1], [2, 0, 1, 0, 2], [0, 5, 0, 0, 0]])


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("auc", roc_auc_score),
        ("brier", brier_score_loss),
        ("nll", lambda y, p: log_loss(y, p)),
    ],
)
def test_measures_of_resampled_people_are_scikit_learns(
    crowd: Crowd, name: str, theirs: Callable[[Array, Array], float], weights: Array
) -> None:
    predictions, labels = crowd.repeated(weights)
    ours = MEASURES[name](crowd.tally, weights[None])
    assert ours == pytest.approx(theirs(labels, predictions), abs=1e-12)


def test_accuracy_is_scikit_learns_but_for_even_predictions(crowd: Crowd) -> None:
    crowd.predictions = np.where(crowd.predictions == 0.5, 0.51, crowd.predictions)
    expected = accuracy_score(crowd.labels, crowd.predictions > 0.5)
    assert crowd.tally.accuracy(WEIGHTS[:1]) == pytest.approx(expected)


def test_an_even_prediction_is_half_right() -> None:
    even = tally(np.array([0.5, 0.5, 0.9]), np.array([True, False, True]), np.zeros(3, dtype=np.int64), 1)
    assert even.accuracy(np.ones((1, 1))) == pytest.approx(2 / 3)


def test_the_area_within_people_is_the_mean_of_their_own(crowd: Crowd) -> None:
    own = [
        roc_auc_score(crowd.labels[crowd.owners == u], crowd.predictions[crowd.owners == u]) for u in range(crowd.size)
    ]
    expected = [np.average(own, weights=weights) for weights in WEIGHTS]
    assert crowd.tally.auc_within(WEIGHTS) == pytest.approx(expected)


def test_people_with_one_label_do_not_count_within_people() -> None:
    labels = np.array([True, True, True, False])
    two = tally(np.array([0.1, 0.2, 0.9, 0.3]), labels, np.array([0, 0, 1, 1]), 2)
    assert two.auc_within(np.ones((1, 2))) == pytest.approx(1.0)


def test_calibration_error_is_the_weighted_gap_per_bin(crowd: Crowd) -> None:
    edges = np.minimum((crowd.predictions * BINS).astype(int), BINS - 1)
    gaps = [
        (edges == b).mean() * abs(crowd.labels[edges == b].mean() - crowd.predictions[edges == b].mean())
        for b in np.unique(edges)
    ]
    assert crowd.tally.ece(WEIGHTS[:1]) == pytest.approx(sum(gaps))


def test_the_area_is_undefined_without_both_labels() -> None:
    alike = tally(np.array([0.2, 0.4]), np.array([True, True]), np.array([0, 0]), 1)
    assert np.isnan(alike.auc(np.ones((1, 1)))).all()


def test_certain_mistakes_cost_much_but_not_everything() -> None:
    wrong = tally(np.array([1.0]), np.array([False]), np.array([0]), 1)
    assert 30 < wrong.nll(np.ones((1, 1)))[0] < 40


def test_a_part_of_the_people_is_measured_as_if_alone(crowd: Crowd) -> None:
    part = crowd.tally.of(np.array([1, 3]))
    only = np.array([[0.0, 1, 0, 1, 0]])
    for measure in MEASURES.values():
        assert measure(part, np.ones((1, 2))) == pytest.approx(measure(crowd.tally, only), nan_ok=True)


def sample(name: str, seed: int, people: list[int], crowd: Crowd) -> Sample:
    return Sample(name, seed, np.array(people), {0: crowd.tally})


def test_replicates_are_those_of_a_loop_over_people() -> None:
    crowds = [Crowd(1), Crowd(2), Crowd(3)]
    samples = [
        sample("a", 0, [1, 2, 3, 4, 5], crowds[0]),
        sample("a", 1, [9, 4, 7, 2, 1], crowds[1]),
        sample("b", 0, [1, 2, 3, 4, 5], crowds[2]),
    ]
    samples[1] = Sample("a", 1, np.array([1, 2, 4, 7, 9]), {0: crowds[1].tally.of(np.array([4, 3, 1, 2, 0]))})
    ours = replicated(samples, {"auc": Tally.auc}, replicates=30)["auc"][0]
    drawn = draws(samples, 30)
    for b in range(31):
        count = {name: dict(zip(people, weights[b], strict=True)) for name, (people, weights) in drawn.items()}
        areas = []
        for (name, numbers), crowd in zip(
            [("a", [1, 2, 3, 4, 5]), ("a", [9, 4, 7, 2, 1]), ("b", [1, 2, 3, 4, 5])], crowds, strict=True
        ):
            predictions, labels = crowd.repeated(np.array([count[name][n] for n in numbers]))
            areas.append(roc_auc_score(labels, predictions) if 0 < labels.sum() < len(labels) else np.nan)
        first = np.nanmean(areas[:2])
        assert ours[b] == pytest.approx((first + areas[2]) / 2)


def test_the_same_person_is_drawn_alike_in_every_seed() -> None:
    samples = [sample("a", seed, [1, 2, 3, 4, 5], Crowd(0)) for seed in range(4)]
    values = replicated(samples, {"auc": Tally.auc}, 50)["auc"][0]
    alone = replicated(samples[:1], {"auc": Tally.auc}, 50)["auc"][0]
    assert values == pytest.approx(alone)


def test_differences_of_a_method_to_itself_are_nothing() -> None:
    samples = [sample("a", 0, [1, 2, 3, 4, 5], Crowd(0))]
    one, other = (replicated(samples, {"auc": Tally.auc}, 50)["auc"][0] for _ in range(2))
    assert interval(one - other) == (0.0, 0.0)


def test_two_methods_are_compared_on_the_people_both_met() -> None:
    whole = [sample("a", 0, [5, 4, 3, 2, 1], Crowd(1)), sample("b", 0, [1, 2, 3, 4, 5], Crowd(1))]
    few = [Sample("a", 0, np.array([2, 4]), {0: Crowd(2).tally.of(np.array([0, 1]))})]
    mine, theirs = shared(whole, few)
    assert [s.people.tolist() for s in mine] == [[2, 4]] == [s.people.tolist() for s in theirs]
    assert (mine[0].tallies[0].positives == Crowd(1).tally.positives[[3, 1]]).all()


def test_methods_without_common_people_cannot_be_compared() -> None:
    one, other = [sample("a", 0, [1, 2, 3, 4, 5], Crowd(1))], [sample("a", 1, [1, 2, 3, 4, 5], Crowd(1))]
    with pytest.raises(InvalidInput, match="no common person"):
        shared(one, other)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """People differ in how often they are predicted rightly (mean 0.7), and each is met in three seeds."""
    rng = np.random.default_rng(5)
    covered, rounds, people, targets = 0, 200, 40, 15
    for _ in range(rounds):
        skill = rng.beta(7, 3, people)
        samples = []
        for seed in range(3):
            right = rng.random((people, targets)) < skill[:, None]
            predictions = np.where(right, 0.8, 0.2).ravel()
            labels = np.ones(people * targets, dtype=bool)
            owners = np.repeat(np.arange(people), targets)
            samples.append(Sample("a", seed, np.arange(people), {0: tally(predictions, labels, owners, people)}))
        low, high = interval(replicated(samples, {"accuracy": Tally.accuracy}, 300)["accuracy"][0])
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / rounds <= 0.98
