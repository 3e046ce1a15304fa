"""The demo: people who never see φ, numbers that mean what they say, and a result a person can read."""

import json

import pytest
import torch
from typer.testing import CliRunner

from app.cli import app
from app.demo.report import gap_closed, interval
from app.demo.world import Test as Unseen
from app.demo.world import meet
from reward_bases.artifact import DEFAULT
from reward_bases.bank import load_bank

BANK = load_bank(DEFAULT / "bank.json")


@pytest.fixture
def unseen() -> Unseen:
    return Unseen.of(BANK.part("test"), torch.Generator().manual_seed(1))


def test_the_test_holds_every_pair_of_every_test_prompt_and_nothing_else(unseen: Unseen) -> None:
    assert len(unseen.left) == 40 * 28
    group = {row: g for g, rows in enumerate(unseen.groups) for row in rows}
    assert all(group[a] == group[b] for a, b in zip(unseen.left.tolist(), unseen.right.tolist(), strict=True))
    asked = {answer.text for prompt in BANK.part("questions") + BANK.part("heads") for answer in prompt.answers}
    assert not asked & set(unseen.completions)


def test_true_weights_are_an_oracle_and_chance_is_a_half(unseen: Unseen) -> None:
    for person in meet(BANK, ["brevity", "warmth", "caution"], 3, unseen, "p", seed=4):
        assert person.auc(person.utilities, unseen, noisy=False) == 1
        assert 0.85 < person.auc(person.utilities, unseen, noisy=True) < 1
        assert person.auc(-person.utilities, unseen, noisy=False) == 0
        assert person.auc(torch.zeros(len(unseen.levels)), unseen, noisy=False) == 0.5


def test_the_gap_closed_runs_from_the_aggregate_to_the_oracle() -> None:
    auc = torch.tensor([[0.5, 0.5, 0.5, 0.5, 0.6, 0.7]], dtype=torch.float64)
    assert gap_closed(auc, torch.tensor([0.9]), 5) == pytest.approx(0.25)
    assert gap_closed(auc, torch.tensor([0.9]), 10) == pytest.approx(0.5)


def test_an_interval_holds_the_mean_and_shrinks_to_it_when_people_agree() -> None:
    low, high = interval(torch.tensor([0.2, 0.4, 0.6, 0.8], dtype=torch.float64))
    assert low < 0.5 < high
    assert interval(torch.full((4,), 0.3, dtype=torch.float64)) == [0.3, 0.3]


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_the_command_runs_end_to_end(as_json: bool) -> None:
    result = CliRunner().invoke(app, ["demo", "--people", "2", *(["--json"] if as_json else [])])
    assert result.exit_code == 0, result.output
    if as_json:
        numbers = json.loads(result.stdout)
        assert numbers["people"] == 2
        assert numbers["guard_divergence_max"] <= numbers["guard_budget"]
        assert set(numbers["auc"]) == {"keel", "random", "unguarded", "oracle"}
        assert set(numbers["auc_noisy"]["keel"]) == {"0", "1", "2", "3", "5", "10"}
    else:
        assert "AUC on unseen answers, labels as noisy as people" in result.stdout
        assert "random questions (r)" in result.stdout
        assert "Best of 8" in result.stdout
