"""Answers as rows for trainers: what each answer becomes, over the route and the command, and that TRL takes it."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.people.export_shape import Shape
from keel import Client, Invalid, NotFound
from keel.replies import Question

ANSWERS = (
    ("left", "clear", "shorter, with an example"),
    ("right", None, None),
    ("same", None, "fewer adjectives"),
    ("both_poor", None, None),
    ("skip", None, None),
)


@pytest.fixture
def told(live: str) -> Iterator[tuple[Client, list[Question]]]:
    """A client, and the questions that Ada answered as above; one more answer was taken back."""
    with Client(live) as client:
        questions = []
        for choice, strength, note in (*ANSWERS, ("left", None, "never mind")):
            question = client.ask("ada", rule="random", seed=len(questions), force=True)
            assert question is not None
            client.tell("ada", question.question_id, choice, strength=strength, note=note)
            questions.append(question)
        client.undo("ada")
        yield client, questions


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


@pytest.mark.slow
def test_preferences_are_the_chosen_and_the_rejected(told: tuple[Client, list[Question]]) -> None:
    client, (first, second, *_) = told
    rows = client.export_rows("ada", Shape.PREFERENCES)
    assert [(row["chosen"], row["rejected"], row["strength"]) for row in rows] == [
        (said(first.left), said(first.right), "clear"),
        (said(second.right), said(second.left), None),
    ]
    assert rows[0]["prompt"][-1]["role"] == "user"


@pytest.mark.slow
def test_best_of_n_rows_are_the_preferred_ones_alone(told: tuple[Client, list[Question]]) -> None:
    client, (first, second, *_) = told
    rows = client.export_rows("ada", Shape.BEST_OF_N)
    assert [row["completion"] for row in rows] == [said(first.left), said(second.right)]


@pytest.mark.slow
def test_a_note_goes_with_the_preferred_response_or_with_both(told: tuple[Client, list[Question]]) -> None:
    client, (first, _, third, *_) = told
    rows = client.export_rows("ada", Shape.NOTES)
    assert [(row["response"], row["note"]) for row in rows] == [
        (first.left, "shorter, with an example"),
        (third.left, "fewer adjectives"),
        (third.right, "fewer adjectives"),
    ]


@pytest.mark.slow
def test_feedme_rows_tell_the_rating_before_the_prompt(told: tuple[Client, list[Question]]) -> None:
    client, (first, _, third, fourth, _, _) = told
    rows = client.export_rows("ada", Shape.FEEDME)
    ratings = {row["completion"][0]["content"]: row["rating"] for row in rows}
    assert len(rows) == 8
    assert (ratings[first.left], ratings[first.right]) == ("preferred", "not preferred")
    assert ratings[third.left] == ratings[third.right] == "as good as the other"
    assert ratings[fourth.left] == ratings[fourth.right] == "poor"
    assert rows[0]["prompt"][0] == {"role": "system", "content": "Rating of the answer: preferred."}


@pytest.mark.slow
@pytest.mark.parametrize("shape", list(Shape))
def test_the_command_writes_one_row_per_line_that_datasets_can_read(
    told: tuple[Client, list[Question]], live: str, shape: Shape
) -> None:
    datasets = pytest.importorskip("datasets")
    trl = pytest.importorskip("trl.data_utils")
    client, _ = told
    result = CliRunner().invoke(app, ["export", "--user", "ada", "--format", shape.value, "--url", live])
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows == client.export_rows("ada", shape)
    table = datasets.Dataset.from_list(rows)
    assert trl.is_conversational(table[0])
    as_json = CliRunner().invoke(app, ["export", "--user", "ada", "--format", shape.value, "--url", live, "--json"])
    assert json.loads(as_json.stdout) == {"rows": rows}


@pytest.mark.slow
def test_unknown_people_and_shapes_are_refused(told: tuple[Client, list[Question]]) -> None:
    client, _ = told
    with pytest.raises(NotFound, match="bob"):
        client.export_rows("bob", Shape.NOTES)
    with pytest.raises(Invalid):
        client.export_rows("ada", "csv")
