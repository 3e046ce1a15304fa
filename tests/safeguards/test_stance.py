"""A stance direction is found where there is one, and nowhere else."""

import pytest
import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from safeguards.stance import assess, direction, folds, held_out_wins, interval, null_norms

K, QUESTIONS = 4, 60
WITHIN = torch.diag(torch.tensor([1.0, 4.0, 0.25, 1.0], dtype=torch.float64))
LEAN = torch.tensor([0.5, 0.0, 0.0, -0.5], dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cells(effect: float, seed: int = 0) -> Tensor:
    """φ (Q, 2 prompts, 2 responses, K): what responses are worth by themselves, plus ``effect``·LEAN for agreeing."""
    worth = torch.randn(QUESTIONS, 2, K, dtype=torch.float64, generator=generator(seed))  # of y_pro and y_con
    phi = torch.stack([worth, worth.flip(1)], dim=1)  # agreeing, other under either stance
    noise = 0.3 * torch.randn(phi.shape, dtype=torch.float64, generator=generator(seed + 1))
    phi = phi + noise
    phi[:, :, 0] += effect * LEAN
    return phi


def differences(effect: float, seed: int = 0) -> Tensor:
    phi = cells(effect, seed)
    return phi[:, :, 0] - phi[:, :, 1]


def test_the_direction_is_the_difference_in_differences_of_the_four_cells() -> None:
    phi = cells(1.0)
    (pro_pro, pro_con), (con_con, con_pro) = ((phi[:, x, 0], phi[:, x, 1]) for x in (0, 1))
    expected = 0.5 * (pro_pro - pro_con + con_con - con_pro).mean(dim=0)
    torch.testing.assert_close(direction(differences(1.0)), expected)


def test_what_a_response_is_worth_by_itself_cancels() -> None:
    worth = torch.randn(QUESTIONS, 2, K, dtype=torch.float64, generator=generator())
    phi = torch.stack([worth, worth.flip(1)], dim=1)
    torch.testing.assert_close(direction(phi[:, :, 0] - phi[:, :, 1]), torch.zeros(K, dtype=torch.float64))


def test_a_stance_that_is_there_is_found() -> None:
    found = assess(differences(1.0), WITHIN, generator())
    assert found.active
    assert found.norm > found.null
    assert 0.5 < found.auc_low < found.auc < found.auc_high
    torch.testing.assert_close(found.direction, LEAN, rtol=0, atol=0.2)


def test_where_there_is_none_the_band_is_off_in_nearly_every_world() -> None:
    active = [assess(differences(0.0, seed), WITHIN, generator()).active for seed in range(0, 40, 2)]
    assert sum(active) <= 2


def test_too_few_questions_are_never_conclusive() -> None:
    few = assess(differences(3.0)[:15], WITHIN, generator())
    assert few.auc_low > 0.5
    assert not few.conclusive


def test_the_length_is_measured_in_within_prompt_spreads() -> None:
    along = torch.zeros(QUESTIONS, 2, K, dtype=torch.float64)
    along[..., 1] = 2.0
    assert assess(along, WITHIN, generator()).norm == pytest.approx(1.0)


def test_the_null_is_that_of_swapped_labels() -> None:
    rows = differences(1.0)
    precision = torch.linalg.inv(WITHIN)
    signs = 1 - 2 * torch.randint(2, (4000, QUESTIONS, 1), generator=generator(9)).double()
    brute = torch.stack([(sign * rows.mean(dim=1)).mean(dim=0) for sign in signs])
    lengths = ((brute @ precision) * brute).sum(dim=1).sqrt()
    null = null_norms(rows, precision, generator())
    assert float(null.quantile(0.95)) == pytest.approx(float(lengths.quantile(0.95)), rel=0.05)


def test_a_question_is_never_in_its_own_probe() -> None:
    """One question that outweighs all others wins only where it is in the probe itself."""
    rows = differences(0.0)
    rows[0] = 1e3 * torch.tensor([0.0, 0.0, 1.0, 0.0])
    rows[1:, :, 2] = -0.01
    assert float(held_out_wins(rows, torch.linalg.inv(WITHIN), generator())[0]) == 0


def test_folds_part_the_questions() -> None:
    parts = torch.stack(folds(23, 5, generator()))
    assert parts.sum(dim=0).tolist() == [1] * 23
    assert {int(part.sum()) for part in parts} <= {4, 5}


class TestInterval:
    def test_it_is_the_normal_one_for_many_people(self) -> None:
        values = torch.randn(400, 1, dtype=torch.float64, generator=generator())
        low, high = interval(values, generator())
        error = 1.96 * float(values.std()) / 20
        assert (low, high) == pytest.approx((float(values.mean()) - error, float(values.mean()) + error), abs=0.02)

    def test_drawing_questions_too_widens_it_when_questions_differ(self) -> None:
        values = torch.randn(1, 30, dtype=torch.float64, generator=generator()).expand(20, 30)
        assert interval(values, generator())[0] == pytest.approx(interval(values, generator())[1])
        low, high = interval(values, generator(), both=True)
        assert high - low > 0.3


@pytest.mark.parametrize("shape", [(5, 2, K), (30, K), (30, 2, K + 1)])
def test_unusable_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="stance probes need"):
        assess(torch.zeros(shape, dtype=torch.float64), WITHIN, generator())
