"""What a run says of answers: they must improve on the aggregate, and on the same scores before any answer."""

from dataclasses import replace

import pytest
import torch

from elicitation.statistics import Interval
from reward_bases.train.card import metrics_card
from reward_bases.train.validate.evaluate import (
    ANSWERS,
    DECIDED_AT,
    MEASURES,
    Evaluation,
    Predictions,
    Stage,
    evaluate,
    joined,
    widening,
)

UP, DOWN, OPEN = Interval(0.02, 0.01, 0.03), Interval(-0.02, -0.03, -0.01), Interval(0.0, -0.01, 0.01)


def evaluation(gain: Interval, added: Interval, folds: int = 1, unjudged: int = 0) -> Evaluation:
    def every(one: Interval) -> dict[str, Interval]:
        return dict.fromkeys(MEASURES, one)

    stage = Stage(DECIDED_AT, float(DECIDED_AT), every(UP), every(gain), every(added))
    return Evaluation(
        people=1050,
        judgments=5000,
        folds=folds,
        unjudged=unjudged,
        new_prompts=True,
        aggregate=every(UP),
        stages=(stage,),
    )


def predictions(people: int, seed: int = 0) -> Predictions:
    """Random ones, about three judgments of each person but the last, who has none."""
    generator = torch.Generator().manual_seed(seed)
    count = 3 * people
    column = torch.randint(3, (count,), generator=generator)
    drawn = torch.rand(1 + len(ANSWERS), count, 3, generator=generator, dtype=torch.float64).softmax(2)
    who = torch.randint(people - 1, (count,), generator=generator).sort().values
    read = tuple(answers * people for answers in ANSWERS)
    return Predictions(who, people, column, drawn[0], tuple(drawn[1:]), read, new_prompts=True)


def part_of(every: Predictions, first: int, last: int) -> Predictions:
    """Of the people ``first`` to ``last`` − 1 alone."""
    rows = (every.people >= first) & (every.people < last)
    return replace(
        every,
        people=every.people[rows] - first,
        size=last - first,
        column=every.column[rows],
        aggregate=every.aggregate[rows],
        personal=tuple(one[rows] for one in every.personal),
        read=tuple(answers * (last - first) for answers in ANSWERS),
    )


@pytest.mark.parametrize(
    ("gain", "added", "verdict"),
    [
        (UP, UP, "better"),
        (UP, OPEN, "unclear"),
        (OPEN, UP, "unclear"),
        (UP, DOWN, "worse"),
        (DOWN, UP, "worse"),
    ],
)
def test_answers_must_improve_on_everybodys_scores_and_on_themselves(
    gain: Interval, added: Interval, verdict: str
) -> None:
    assert evaluation(gain, added).verdict == verdict


def test_better_scores_that_no_answer_made_better_are_not_put_down_to_answers() -> None:
    sentence = evaluation(UP, OPEN).sentence
    assert "not clearly better than scores without people's answers" in sentence
    assert "+0.0200 nats per judgment (+0.0100 to +0.0300)" in sentence
    assert "AUC +0.0000 (-0.0100 to +0.0100) against no answers" in sentence


def test_the_sentence_says_by_whom_it_was_judged() -> None:
    one, several = evaluation(UP, UP).sentence, evaluation(UP, UP, folds=5, unjudged=7).sentence
    assert one.endswith("judged by 5,000 judgments of 1,050 people; people and prompts were held out.")
    assert several.endswith("were held out in 5 folds. 7 others had too few judgments to be tested.")


def test_the_card_says_by_whom_it_was_judged() -> None:
    card = metrics_card(evaluation(UP, UP, folds=5, unjudged=7))
    assert [card[name] for name in ("people", "judgments", "folds", "unjudged")] == [1050, 5000, 5, 7]


def test_folds_are_judged_together_as_if_one_fit_had_predicted_them() -> None:
    every = predictions(40)
    parts = [part_of(every, first, first + 8) for first in range(0, 40, 8)]
    whole = evaluate([every], 40, torch.Generator().manual_seed(0))
    folds = evaluate(parts, 43, torch.Generator().manual_seed(0))
    assert torch.equal(joined(parts).people, every.people)
    assert (folds.aggregate, folds.judgments) == (whole.aggregate, whole.judgments)
    assert folds.unjudged == 43 - whole.people >= 4
    for one, other in zip(folds.stages, whole.stages, strict=True):
        assert (one.personal, one.read) == (other.personal, other.read)
        assert [gain.value for gain in one.gain.values()] == [gain.value for gain in other.gain.values()]


def test_differences_over_folds_have_wider_intervals_than_the_bootstrap_of_judged_people() -> None:
    """Half as wide again for five folds, by Nadeau and Bengio's rule: 1/5 + 1/4 is 2.25 times 1/5."""
    assert [widening(folds) for folds in (1, 2, 5)] == pytest.approx([1.0, 3**0.5, 1.5])
    every = predictions(40)
    whole = evaluate([every], 40, torch.Generator().manual_seed(0))
    parts = [part_of(every, first, first + 8) for first in range(0, 40, 8)]
    folds = evaluate(parts, 40, torch.Generator().manual_seed(0))
    for kind in ("gain", "added"):
        for name in MEASURES:
            narrow, wide = getattr(whole.decisive, kind)[name], getattr(folds.decisive, kind)[name]
            assert wide.low - wide.value == pytest.approx(1.5 * (narrow.low - narrow.value))
            assert wide.high - wide.value == pytest.approx(1.5 * (narrow.high - narrow.value))


def test_people_without_anything_to_predict_are_not_counted_among_the_judges() -> None:
    every = predictions(40)
    found = evaluate([every], 40, torch.Generator().manual_seed(0))
    assert found.people == len(every.people.unique())
    assert found.unjudged == 0
