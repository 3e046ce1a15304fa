"""What a run says of answers: they must improve on the aggregate, and on the same scores before any answer."""

import pytest

from elicitation.statistics import Interval
from reward_bases.train.validate.evaluate import DECIDED_AT, MEASURES, Evaluation, Stage

UP, DOWN, OPEN = Interval(0.02, 0.01, 0.03), Interval(-0.02, -0.03, -0.01), Interval(0.0, -0.01, 0.01)


def evaluation(gain: Interval, added: Interval) -> Evaluation:
    def every(one: Interval) -> dict[str, Interval]:
        return dict.fromkeys(MEASURES, one)

    stage = Stage(DECIDED_AT, float(DECIDED_AT), every(UP), every(gain), every(added))
    return Evaluation(people=50, judgments=500, new_prompts=True, aggregate=every(UP), stages=(stage,))


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
