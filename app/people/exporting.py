"""A person's answers as rows that trainers read; every prompt and completion is a list of messages.

* notes: prompt, response, note. Wishes for changes of a response, for distillation; never scored. A note
  goes with the response they preferred, or with both when they preferred neither.
* preferences: prompt, chosen, rejected (TRL's DPOTrainer and RewardTrainer), with the stated strength.
* best-of-n: prompt, completion. The preferred ones alone (TRL's SFTTrainer), for expert iteration.
* feedme: prompt, completion, rating. Every response, with its rating in a first system message, so that a model
  learns to answer to a rating and is then asked for ``preferred``. The ``preferred`` rows alone are FeedME.

Answers taken back and skipped questions give no rows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from app.people.export_shape import Shape
from app.storage.store import Answer, Entry, Question, active_answers
from elicitation.choice import Choice

Row = dict[str, Any]
SIDES = {Choice.LEFT: ("left", "right"), Choice.RIGHT: ("right", "left")}
RATINGS = {Choice.SAME: "as good as the other", Choice.BOTH_POOR: "poor"}
PREFERRED, REJECTED = "preferred", "not preferred"


def rows(shape: Shape, questions: Sequence[Question], log: Sequence[Entry]) -> list[Row]:
    """One person's rows, oldest answer first."""
    asked = {question.question_id: question for question in questions}
    build = {
        Shape.NOTES: _notes,
        Shape.PREFERENCES: _preferences,
        Shape.BEST_OF_N: _best,
        Shape.FEEDME: _rated,
    }[shape]
    return [row for answer in active_answers(log) for row in build(asked[answer.question_id], answer)]


def _notes(question: Question, answer: Answer) -> Iterator[Row]:
    if answer.note:
        for side in SIDES[answer.choice][:1] if answer.choice in SIDES else ("left", "right"):
            yield _prompt(question) | {"response": getattr(question, side), "note": answer.note}


def _preferences(question: Question, answer: Answer) -> Iterator[Row]:
    if answer.choice in SIDES:
        chosen, rejected = (_said(question, side) for side in SIDES[answer.choice])
        yield _prompt(question) | {"chosen": chosen, "rejected": rejected, "strength": answer.strength}


def _best(question: Question, answer: Answer) -> Iterator[Row]:
    if answer.choice in SIDES:
        yield _prompt(question) | {"completion": _said(question, SIDES[answer.choice][0])}


def _rated(question: Question, answer: Answer) -> Iterator[Row]:
    if answer.choice in SIDES:
        ratings = dict(zip(SIDES[answer.choice], (PREFERRED, REJECTED), strict=True))
    elif answer.choice in RATINGS:
        ratings = dict.fromkeys(("left", "right"), RATINGS[answer.choice])
    else:
        return
    for side, rating in ratings.items():
        told = {"role": "system", "content": f"Rating of the answer: {rating}."}
        yield {"prompt": [told, *question.conversation], "completion": _said(question, side), "rating": rating}


def _prompt(question: Question) -> Row:
    return {"prompt": list(question.conversation)}


def _said(question: Question, side: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": getattr(question, side)}]
