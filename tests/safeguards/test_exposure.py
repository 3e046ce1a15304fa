"""Served rankings are measured as they were served, and people are compared only between arms drawn by lot."""

import pytest
import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from safeguards.audit_served import MIN_EXPLORED, served_findings, spread_finding
from safeguards.exposure import AGGREGATE, PERSONAL, Exposure, Ranking, difference_of_arms, stance_exposure
from safeguards.findings import Finding
from safeguards.guard import Reference, starc
from safeguards.metrics import common_ground_lost, diversity_ratio, flips

TRUTH = 4


def rankings(
    people: Tensor, aggregate: Tensor, reference: Reference, explore: float = 0.0, copies: int = 1
) -> list[Ranking]:
    """Every person is served every prompt of the reference set, by lot from the aggregate."""
    generator = torch.Generator().manual_seed(4)
    made = []
    for person, own in enumerate(people):
        for prompt, phi in enumerate(reference.phi.repeat(copies, 1, 1)):
            arm = AGGREGATE if float(torch.rand((), generator=generator)) < explore else PERSONAL
            rewards = phi @ (aggregate if arm == AGGREGATE else own)
            order = tuple(rewards.argsort(descending=True).tolist())
            made.append(Ranking(person, arm, phi, rewards, order, str(prompt)))
    return made


@pytest.fixture(scope="module")
def people(aggregate: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return aggregate + 0.4 * torch.randn(6, 5, dtype=torch.float64, generator=generator)


def of(served: list[Ranking], aggregate: Tensor, reference: Reference) -> Exposure:
    return Exposure.of(served, aggregate, reference, TRUTH)


def named(findings: tuple[Finding, ...], number: int) -> Finding:
    return next(finding for finding in findings if finding.number == number)


class TestFigures:
    def test_people_served_the_reference_set_read_as_the_reference_metrics_do(
        self, people: Tensor, aggregate: Tensor, reference: Reference
    ) -> None:
        exposure = of(rankings(people, aggregate, reference), aggregate, reference)
        assert torch.allclose(exposure.distance(PERSONAL), starc(people, aggregate, reference))
        plain, costly = flips(people, aggregate, reference)
        assert torch.allclose(exposure.mean(PERSONAL, exposure.flipped), plain)
        assert torch.allclose(exposure.mean(PERSONAL, exposure.costly), costly)
        lost = common_ground_lost(people, aggregate, reference)
        assert torch.allclose(exposure.mean(PERSONAL, exposure.outside), lost)
        assert torch.allclose(exposure.diversity_ratio(PERSONAL), diversity_ratio(people, reference))

    def test_rankings_by_the_aggregate_cost_nothing(
        self, people: Tensor, aggregate: Tensor, reference: Reference
    ) -> None:
        exposure = of(rankings(people, aggregate, reference, explore=1.0), aggregate, reference)
        assert float(exposure.costly.sum()) == float(exposure.flipped.sum()) == 0
        assert float(exposure.distance(AGGREGATE).max()) == pytest.approx(0, abs=1e-6)
        assert len(exposure.distance(PERSONAL)) == 0
        assert float(exposure.fragmentation(AGGREGATE).max()) == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize("order", [(0, 1), (0, 0, 1)])
    def test_a_ranking_needs_a_place_for_each_candidate(self, order: tuple[int, ...]) -> None:
        with pytest.raises(InvalidInput, match="a place for each"):
            Ranking(0, PERSONAL, torch.zeros(3, 2), torch.zeros(3), order, "")


class TestLot:
    def test_the_difference_between_arms_is_the_effect_of_personalising(
        self, people: Tensor, aggregate: Tensor, reference: Reference
    ) -> None:
        """With everybody served everything, the lot estimates the gap that the reference set states."""
        exposure = of(rankings(people, aggregate, reference, explore=0.5, copies=20), aggregate, reference)
        gap = difference_of_arms(exposure, exposure.truth, 400, torch.Generator().manual_seed(0))
        everything = of(rankings(people, aggregate, reference), aggregate, reference)
        usual = of(rankings(people, aggregate, reference, explore=1.0), aggregate, reference)
        assert gap.value == pytest.approx(float(usual.truth.mean() - everything.truth.mean()), abs=0.08)
        assert gap.low < gap.value < gap.high

    def test_logs_alone_never_compare_people(self, people: Tensor, aggregate: Tensor, reference: Reference) -> None:
        exposure = of(rankings(people, aggregate, reference), aggregate, reference)
        with pytest.raises(InvalidInput, match="explore"):
            difference_of_arms(exposure, exposure.truth, 10, torch.Generator())
        found = served_findings(exposure, None, torch.Generator())
        assert {named(found, number).status for number in (5, 6)} == {"inconclusive"}
        assert f"< {MIN_EXPLORED} needed" in named(found, 6).note
        assert named(found, 2).status != "inconclusive"

    def test_with_the_lot_they_do(self, people: Tensor, aggregate: Tensor, reference: Reference) -> None:
        exposure = of(rankings(people, aggregate, reference, explore=0.5, copies=2), aggregate, reference)
        found = served_findings(exposure, None, torch.Generator())
        for number in (5, 6):
            assert named(found, number).status != "inconclusive"
        assert named(found, 6).nulls["aggregate"] == pytest.approx(0, abs=1e-6)
        assert {named(found, number).status for number in (4, 7)} == {"inconclusive"}, "a log holds no truth"

    def test_without_a_log_every_metric_of_it_is_inconclusive(self) -> None:
        found = served_findings(None, None, torch.Generator())
        assert {finding.status for finding in found} == {"inconclusive"}
        assert "traffic_days" in named(found, 1).note


class TestViewpoints:
    def test_a_reward_that_sees_no_stance_shows_both_in_equal_parts(self) -> None:
        opinions = torch.randn(30, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        nobody = torch.zeros(2, 3, dtype=torch.float64)
        assert torch.allclose(stance_exposure(nobody, opinions), torch.zeros(2, dtype=torch.float64), atol=1e-6)

    def test_a_flatterer_and_a_contrarian_are_equally_far_from_the_pool(self) -> None:
        opinions = torch.zeros(30, 2, 3, dtype=torch.float64)
        opinions[..., 0] = 1
        reward = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]], dtype=torch.float64)
        flatterer, contrarian = stance_exposure(reward, opinions).tolist()
        assert flatterer == pytest.approx(contrarian)
        assert flatterer == pytest.approx(0.5579, abs=4e-3), "√JSD of (1, 0) from (½, ½), base 2"


class TestSpread:
    def test_people_who_are_like_the_population_have_grown_by_nothing(self) -> None:
        """Half of the variance lies between the means, half is not known yet."""
        generator = torch.Generator().manual_seed(6)
        means = 0.5**0.5 * torch.randn(4000, 3, dtype=torch.float64, generator=generator)
        covariances = 0.5 * torch.eye(3, dtype=torch.float64).expand(4000, 3, 3)
        found = spread_finding(means, covariances, 3.0, generator)
        assert found.value == pytest.approx(1, abs=0.03)
        assert found.low is not None
        assert found.high is not None
        assert found.low < 1 < found.high

    def test_the_interval_is_not_too_low_for_a_few_people(self) -> None:
        generator = torch.Generator().manual_seed(7)
        found = spread_finding(
            torch.randn(6, 3, dtype=torch.float64, generator=generator), torch.zeros(6, 3, 3), 3.0, generator
        )
        assert found.low is not None
        assert found.high is not None
        assert found.value is not None
        assert found.low < found.value < found.high
