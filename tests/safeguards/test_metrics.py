"""Audit metrics against their definitions, written out as loops."""

import math

import pytest
import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from safeguards.guard import Reference
from safeguards.metrics import (
    Predictions,
    calibration_error,
    common_ground_lost,
    diversity_ratio,
    flips,
    fragmentation,
    random_people,
)


@pytest.fixture
def people(aggregate: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return aggregate + 0.7 * torch.randn(6, len(aggregate), dtype=torch.float64, generator=generator)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(9)


def lists(coefficients: Tensor, reference: Reference, length: int) -> list[list[int]]:
    """First responses of every prompt, by sorting rewards."""
    rewards = (reference.phi @ coefficients).tolist()
    return [sorted(range(len(row)), key=lambda i, row=row: -row[i])[:length] for row in rewards]


def test_flips_count_changed_picks_and_those_that_cost_half_an_sd(
    people: Tensor, aggregate: Tensor, reference: Reference
) -> None:
    plain, costly = flips(people, aggregate, reference)
    common = (reference.phi @ aggregate).tolist()
    limit = 0.5 * float((reference.centred @ aggregate).square().mean().sqrt())
    for u, person in enumerate(people):
        picks = [ranked[0] for ranked in lists(person, reference, 1)]
        costs = [max(row) - row[pick] for row, pick in zip(common, picks, strict=True)]
        assert float(plain[u]) == pytest.approx(sum(cost > 0 for cost in costs) / len(costs))
        assert float(costly[u]) == pytest.approx(sum(cost > limit for cost in costs) / len(costs))
    assert 0 < float(costly.mean()) < float(plain.mean())


def test_common_ground_is_lost_when_the_pick_leaves_the_aggregates_top_quartile(
    people: Tensor, aggregate: Tensor, reference: Reference
) -> None:
    top = lists(aggregate, reference, 4)
    for person, lost in zip(people, common_ground_lost(people, aggregate, reference), strict=True):
        outside = [r[0] not in quartile for r, quartile in zip(lists(person, reference, 1), top, strict=True)]
        assert float(lost) == pytest.approx(sum(outside) / len(outside))


def test_fragmentation_is_the_mean_root_jsd_of_rank_weighted_lists(
    people: Tensor, reference: Reference, generator: torch.Generator
) -> None:
    def weights(ranked: list[int]) -> list[float]:
        total = sum(1 / rank for rank in range(1, 5))
        return [1 / (ranked.index(i) + 1) / total if i in ranked else 0.0 for i in range(16)]

    def root_jsd(a: list[float], b: list[float]) -> float:
        p = [0.999 * x + 0.001 * y for x, y in zip(a, b, strict=True)]
        q = [0.999 * y + 0.001 * x for x, y in zip(a, b, strict=True)]
        kl = [
            sum(x * math.log2(x / ((x + y) / 2)) for x, y in zip(one, other, strict=True) if x > 0)
            for one, other in ((p, q), (q, p))
        ]
        return math.sqrt(max(0.0, sum(kl) / 2))

    served = [[weights(ranked) for ranked in lists(person, reference, 4)] for person in people]
    for u, value in enumerate(fragmentation(people, reference, generator)):
        distances = [
            root_jsd(a, b) for v in range(len(people)) if v != u for a, b in zip(served[u], served[v], strict=True)
        ]
        assert float(value) == pytest.approx(sum(distances) / len(distances))


def test_fragmentation_of_a_crowd_is_estimated_from_drawn_partners(
    aggregate: Tensor, reference: Reference, generator: torch.Generator
) -> None:
    crowd = aggregate + torch.randn(60, len(aggregate), dtype=torch.float64, generator=generator)
    values = [float(fragmentation(crowd, reference, generator).mean()) for _ in range(2)]
    assert values[0] != values[1]
    assert values[0] == pytest.approx(values[1], rel=0.05)


def test_fragmentation_is_zero_when_all_get_the_same_and_needs_two_people(
    aggregate: Tensor, reference: Reference, generator: torch.Generator
) -> None:
    same = aggregate.expand(3, -1)
    assert fragmentation(same, reference, generator).tolist() == pytest.approx([0.0] * 3, abs=1e-7)
    with pytest.raises(InvalidInput, match="1 < 2"):
        fragmentation(same[:1], reference, generator)


def test_diversity_compares_distances_in_the_list_with_those_in_the_pool(people: Tensor, reference: Reference) -> None:
    def mean_distance(rows: Tensor) -> float:
        pairs = torch.combinations(torch.arange(len(rows)))
        return float((rows[pairs[:, 0]] - rows[pairs[:, 1]]).norm(dim=1).mean())

    pool = sum(mean_distance(rows) for rows in reference.phi)
    for person, value in zip(people, diversity_ratio(people, reference), strict=True):
        tops = lists(person, reference, 4)
        listed = sum(mean_distance(rows[top]) for rows, top in zip(reference.phi, tops, strict=True))
        assert float(value) == pytest.approx(listed / pool, rel=1e-6)


class TestCalibration:
    def test_it_is_the_weighted_gap_between_confidence_and_accuracy_in_ten_bins(self) -> None:
        generator = torch.Generator().manual_seed(2)
        probabilities = torch.randn(300, 3, dtype=torch.float64, generator=generator).softmax(dim=1)
        chosen = torch.randint(3, (300,), generator=generator)
        expected = 0.0
        for low in range(10):
            rows = [i for i, p in enumerate(probabilities.tolist()) if low <= 10 * max(p) < low + 1]
            hits = sum(int(probabilities[i].argmax()) == int(chosen[i]) for i in rows)
            expected += abs(hits - sum(float(probabilities[i].max()) for i in rows)) / 300
        error = calibration_error(probabilities, chosen, torch.ones(300, dtype=torch.float64))
        assert float(error) == pytest.approx(expected)

    def test_weights_count_a_choice_several_times(self) -> None:
        probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4]], dtype=torch.float64)
        chosen, times = torch.tensor([0, 2, 2]), torch.tensor([2, 1, 3])
        repeated = calibration_error(
            probabilities.repeat_interleave(times, dim=0), chosen.repeat_interleave(times), torch.ones(6).double()
        )
        assert float(calibration_error(probabilities, chosen, times.double())) == pytest.approx(float(repeated))

    def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not(self) -> None:
        certain, once = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        assert float(calibration_error(certain, torch.tensor([0]), once)) == 0
        assert float(calibration_error(certain, torch.tensor([1]), once)) == 1

    def test_predictions_of_other_lengths_or_shapes_are_refused(self) -> None:
        rows, index = torch.full((2, 3), 1 / 3, dtype=torch.float64), torch.tensor([0, 1])
        with pytest.raises(InvalidInput, match="1 cohorts"):
            Predictions(rows, index, index, ("all",))
        with pytest.raises(InvalidInput, match=r"need \(2, 3\)"):
            Predictions(rows, index, index, ("all", "all"), aggregate=rows[:, :2])


def test_random_people_deviate_as_much_in_reward_on_free_heads_alone(
    people: Tensor, aggregate: Tensor, reference: Reference, protected: Tensor, generator: torch.Generator
) -> None:
    random = random_people(people, aggregate, reference, ~protected, generator)
    torch.testing.assert_close(reference.within_sd(random - aggregate), reference.within_sd(people - aggregate))
    assert torch.equal(random[:, protected], aggregate[protected].expand(6, 1))
    assert not torch.allclose(random, people)
