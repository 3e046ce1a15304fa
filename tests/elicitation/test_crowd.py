"""Everybody's posterior at once is everybody's posterior."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import elicitation.crowd
from elicitation.choice import Choice, ChoiceModel, Outcomes, Strength
from elicitation.crowd import Crowd, infer_many, rank_within
from elicitation.errors import InvalidInput
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, crowd_of, infer, infer_each, posteriors

K = 3
CHOICES = (Choice.LEFT, Choice.SAME, Choice.RIGHT)


def mixture(protected: bool = False) -> Population:
    covariance = torch.tensor([[1.0, 0.3, 0.0], [0.3, 0.5, 0.0], [0.0, 0.0, 0.0 if protected else 0.8]])
    means = (torch.tensor([0.5, 0.0, 0.2]), torch.tensor([-1.0, 0.7, 0.2]))
    parts = zip((0.7, 0.3), means, (covariance.double(), 0.5 * covariance.double()), strict=True)
    return Population(tuple(Component(weight, mean.double(), cov) for weight, mean, cov in parts))


def people(counts: list[int], seed: int) -> list[Evidence]:
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for count in counts:
        choices = tuple(CHOICES[i] for i in torch.randint(3, (count,), generator=generator).tolist())
        stated = torch.randint(3, (count,), generator=generator).tolist()
        strengths = tuple(
            None if choice is Choice.SAME else (None, Strength.CLEAR, Strength.SLIGHT)[how]
            for choice, how in zip(choices, stated, strict=True)
        )
        drawn.append(Evidence(torch.randn(count, K, generator=generator).double(), choices, strengths))
    return drawn


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), unique_by=lambda row: row[1]))
def test_a_rows_place_counts_the_rows_of_its_person_that_come_before_it(rows: list[tuple[int, float]]) -> None:
    people = torch.tensor([person for person, _ in rows], dtype=torch.long)
    keys = torch.tensor([key for _, key in rows], dtype=torch.float64)
    by_key = [sum(other == person and before < key for other, before in rows) for person, key in rows]
    as_they_lie = [sum(other == person for other, _ in rows[:row]) for row, (person, _) in enumerate(rows)]
    assert rank_within(people, keys).tolist() == by_key
    assert rank_within(people).tolist() == as_they_lie


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(st.integers(0, 15), min_size=1, max_size=5), st.integers(0, 10_000), st.booleans())
def test_each_of_a_crowd_is_believed_to_be_what_they_are_alone(counts: list[int], seed: int, protected: bool) -> None:
    population, model = mixture(protected), ChoiceModel(lapse=0.0, side_bias=0.2)
    evidence = people(counts, seed)
    beliefs = infer_many(population, model, crowd_of(evidence))
    for person, among in zip(evidence, posteriors(beliefs), strict=True):
        alone = infer(population, model, person)
        torch.testing.assert_close(among.mean, alone.mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(among.covariance, alone.covariance, rtol=1e-5, atol=1e-6)
        assert among.consistency == pytest.approx(alone.consistency, rel=1e-5)
        weights = [part.weight for part in alone.components]
        assert [part.weight for part in among.components] == pytest.approx(weights, abs=1e-6)


def test_lapses_leave_the_crowd_the_same_modes() -> None:
    population, model = mixture(), ChoiceModel(lapse=0.1)
    evidence = people([8, 0, 12, 3], seed=5)
    beliefs = infer_many(population, model, crowd_of(evidence))
    for person, among in zip(evidence, posteriors(beliefs), strict=True):
        torch.testing.assert_close(among.mean, infer(population, model, person).mean, rtol=1e-5, atol=1e-5)


@settings(max_examples=20)
@given(
    st.lists(st.integers(0, 15), min_size=1, max_size=6).flatmap(
        lambda counts: st.tuples(st.just(counts), st.permutations(range(len(counts))))
    ),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.1]),
)
def test_a_batch_of_one_is_a_batch_of_many_person_by_person_in_any_order(
    drawn: tuple[list[int], list[int]], seed: int, lapse: float
) -> None:
    counts, order = drawn
    population, model = mixture(protected=True), ChoiceModel(lapse=lapse, side_bias=0.2)
    evidence = people(counts, seed)
    many = infer_each(population, model, [evidence[place] for place in order])
    for place, among in zip(order, many, strict=True):
        alone = infer(population, model, evidence[place])
        torch.testing.assert_close(among.mean, alone.mean, rtol=0, atol=1e-10)
        torch.testing.assert_close(among.covariance, alone.covariance, rtol=0, atol=1e-10)
        assert among.log_consistency == pytest.approx(alone.log_consistency, abs=1e-10)
        assert float(among.mean[-1]) == float(population.mean[-1])


def test_nodes_taken_together_are_nodes_taken_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    population, model, crowd = mixture(), ChoiceModel(lapse=0.1), crowd_of(people([8, 0, 12, 3], seed=5))
    together = infer_many(population, model, crowd, tolerance=1e-10)
    monkeypatch.setattr(elicitation.crowd, "ANSWERS_AT_ONCE", 1)
    apart = infer_many(population, model, crowd, tolerance=1e-10)
    torch.testing.assert_close(together.means, apart.means, rtol=0, atol=1e-10)
    torch.testing.assert_close(together.shares, apart.shares, rtol=0, atol=1e-10)


def test_a_crowd_in_chunks_is_the_whole_crowd() -> None:
    population, model = mixture(), ChoiceModel(log_consistency_std=0.0)
    crowd = crowd_of(people([4, 0, 7, 2, 5], seed=1))
    whole = infer_many(population, model, crowd)
    parts = [infer_many(population, model, part) for part in crowd.chunks(2)]
    torch.testing.assert_close(torch.cat([part.means for part in parts]), whole.means)
    torch.testing.assert_close(torch.cat([part.log_evidence for part in parts]), whole.log_evidence)


def test_where_the_search_sets_out_does_not_matter() -> None:
    population, model = mixture(), ChoiceModel(lapse=0.0, log_consistency_std=0.3)
    crowd = crowd_of(people([4, 0, 7, 2, 5], seed=1))
    afar = infer_many(population, model, crowd)
    near = infer_many(population, model, crowd, afar.means + 0.3)
    torch.testing.assert_close(near.means, afar.means, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(near.log_evidence, afar.log_evidence)


def test_an_enormous_difference_still_has_a_mode() -> None:
    population, model = mixture(), ChoiceModel(lapse=0.0, log_consistency_std=0.0)
    crowd = Crowd(
        torch.tensor([[400.0, 0.0, 0.0], [-350.0, 1.0, 0.0]]).double(),
        torch.tensor([0, 0]),
        Outcomes.of([Choice.LEFT, Choice.LEFT], [None, None]),
        1,
    )
    assert bool(torch.isfinite(infer_many(population, model, crowd).means).all())


def test_a_person_outside_the_crowd_is_refused() -> None:
    with pytest.raises(InvalidInput, match="numbered 0 to 2"):
        Crowd(torch.zeros(2, K).double(), torch.tensor([0, 2]), Outcomes.of([Choice.LEFT] * 2, [None] * 2), 2)
