"""Preference files: the same data in every format, and every row that cannot be used refused with its reason."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from preference_files import PAIR, SUFFIXES, TURNS, Record, judgments_of, refused, write

from elicitation.choice import Choice, Outcomes, Strength
from elicitation.errors import InvalidInput
from reward_bases.text import Conversation
from reward_bases.train.data.reading import read
from reward_bases.train.data.row_report import PLACES
from reward_bases.train.data.values import TEXT_LIMIT, Reason

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
prompts = st.one_of(texts, st.just("[1, 2] is a list"), st.just("[broken"))
pairs = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["ann", "7", " 7 ", 'ü, "q"', ""]),
        "prompt": prompts,
        "response_a": texts,
        "response_b": st.one_of(texts, st.sampled_from(["x\r\ny", "x\ny", '"', "\ufeff"])),
        "choice": st.sampled_from(["a", "b", "tie", "Left", "skip", "both_poor", "?"]),
        "strength": st.sampled_from(["slight", "clear", "", None]),
    }
)


@pytest.mark.slow
@given(st.lists(pairs, min_size=1, max_size=12))
def test_every_format_gives_the_same_data(records: list[Record]) -> None:
    records = [PAIR | {"strength": None}, *records]
    with TemporaryDirectory() as folder:
        first, *others = (read(write(Path(folder) / f"data.{suffix}", records)) for suffix in SUFFIXES)
    for other in others:
        assert (first.user_ids, first.conversations, first.responses) == (
            other.user_ids,
            other.conversations,
            other.responses,
        )
        assert torch.equal(first.items, other.items)
        assert judgments_of(first) == judgments_of(other)
        counts = [{reason: count for reason, (count, _) in refused(data).items()} for data in (first, other)]
        assert counts[0] == counts[1]
        assert first.refused.kept_out == other.refused.kept_out
    assert first.refused.rows == len(records)


def test_a_judgment_keeps_its_sides_choice_and_strength(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.csv", [PAIR | {"choice": "b", "strength": "slight"}])
    assert judgments_of(read(path)) == [("ann", Conversation.of("Why?"), "Because.", "Who knows.", -1.0, -1.0)]


@pytest.mark.parametrize(
    ("spelling", "choice"),
    [
        *((word, Choice.LEFT) for word in ("a", "A", "left", "response_a", " Left ")),
        *((word, Choice.RIGHT) for word in ("b", "right", "response_b")),
        *((word, Choice.SAME) for word in ("tie", "same", "equal", "draw")),
    ],
)
def test_a_choice_has_several_spellings(tmp_path: Path, spelling: str, choice: Choice) -> None:
    outcomes = read(write(tmp_path / "pairs.csv", [PAIR | {"choice": spelling}])).outcomes
    expected = Outcomes.of([choice], [None])
    assert torch.equal(outcomes.column, expected.column)
    assert torch.equal(outcomes.towards, expected.towards)


def test_outcomes_are_those_of_the_choice_model(tmp_path: Path) -> None:
    said = [("a", "clear"), ("tie", None), ("b", "slight"), ("b", None)]
    records = [PAIR | {"prompt": f"{i}", "choice": c, "strength": s} for i, (c, s) in enumerate(said)]
    found = read(write(tmp_path / "pairs.jsonl", records)).outcomes
    choices, strengths = [Choice.LEFT, Choice.SAME, Choice.RIGHT, Choice.RIGHT], [Strength.CLEAR, None, Strength.SLIGHT]
    expected = Outcomes.of(choices, [*strengths, None])
    for name in ("column", "towards", "strength"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))


def test_skips_and_both_poor_are_kept_out_and_counted(tmp_path: Path) -> None:
    choices = ("skip", "both_poor", "neither", "a")
    data = read(write(tmp_path / "pairs.csv", [PAIR | {"choice": choice} for choice in choices]))
    assert (data.refused.rows, data.refused.used, data.refused.kept_out, refused(data)) == (4, 1, 3, {})


def test_judgments_are_sorted_by_person_and_else_in_the_order_of_the_file(tmp_path: Path) -> None:
    who = [("zoe", "1"), ("ann", "2"), ("zoe", "3"), ("ann", "4")]
    data = read(write(tmp_path / "pairs.csv", [PAIR | {"user": user, "prompt": prompt} for user, prompt in who]))
    assert data.user_ids == ("zoe", "ann")
    assert data.people.tolist() == [0, 0, 1, 1]
    assert [data.conversations[row].last_user for row in data.prompts] == ["1", "3", "2", "4"]


def test_texts_people_and_items_of_refused_rows_are_not_kept(tmp_path: Path) -> None:
    unusable = PAIR | {"user": "bob", "response_a": "Never.", "prompt": "When?", "strength": "very"}
    data = read(write(tmp_path / "pairs.csv", [unusable, PAIR | {"strength": ""}]))
    assert (data.user_ids, set(data.responses), len(data.items)) == (("ann",), {"Because.", "Who knows."}, 2)
    assert data.conversations == (Conversation.of("Why?"),)


def test_numbers_and_their_spellings_are_the_same_user(tmp_path: Path) -> None:
    users = [7, 7.0, "7", " 7"]
    records = [PAIR | {"user": user, "prompt": f"{i}"} for i, user in enumerate(users)]
    assert read(write(tmp_path / "pairs.jsonl", records)).user_ids == ("7",)


@pytest.mark.parametrize("name", ["user_id", "annotator"])
def test_the_user_may_go_by_another_name(tmp_path: Path, name: str) -> None:
    record = {name: "ann", "item": 3, **{key: value for key, value in PAIR.items() if key != "user"}}
    assert read(write(tmp_path / "pairs.csv", [record])).user_ids == ("ann",)


REFUSED: list[tuple[Record, Reason]] = [
    ({"user": " "}, Reason.NO_USER),
    ({"user": None}, Reason.NO_USER),
    ({"prompt": ""}, Reason.NO_PROMPT),
    ({"prompt": None}, Reason.NO_PROMPT),
    ({"choice": None}, Reason.UNKNOWN_CHOICE),
    ({"choice": "the first"}, Reason.UNKNOWN_CHOICE),
    ({"response_a": ""}, Reason.EMPTY_RESPONSE),
    ({"response_b": " \n"}, Reason.EMPTY_RESPONSE),
    ({"response_a": "Who knows."}, Reason.IDENTICAL),
    ({"response_a": "<think>Because."}, Reason.EMPTY_RESPONSE),
    ({"response_a": "<think>Because.</think>\nWho knows."}, Reason.IDENTICAL),
    ({"response_a": "x" * (TEXT_LIMIT + 1)}, Reason.TOO_LONG),
    ({"prompt": "x" * (TEXT_LIMIT + 1)}, Reason.TOO_LONG),
    ({"prompt": [{"role": "user", "content": "x" * TEXT_LIMIT}, *TURNS]}, Reason.TOO_LONG),
    ({"response_a": "half \ud800 a character"}, Reason.NOT_TEXT),
    ({"response_a": 3}, Reason.NOT_TEXT),
    ({"prompt": {"role": "user", "content": "Why?"}}, Reason.NOT_TEXT),
    ({"prompt": []}, Reason.MESSAGES),
    ({"prompt": ["Why?"]}, Reason.MESSAGES),
    ({"prompt": [{"role": "robot", "content": "Why?"}]}, Reason.MESSAGES),
    ({"prompt": [{"role": "user", "content": None}]}, Reason.MESSAGES),
    ({"prompt": [{"role": "system", "content": "No user speaks."}]}, Reason.MESSAGES),
    ({"prompt": '[{"role": "user"}]'}, Reason.MESSAGES),
    ({"response_a": TURNS[:2]}, Reason.MESSAGES),
    ({"strength": "enormous"}, Reason.UNKNOWN_STRENGTH),
    ({"choice": "tie", "strength": "clear"}, Reason.NO_SIDE),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_a_row_that_cannot_be_used_is_refused_and_located(tmp_path: Path, change: Record, reason: Reason) -> None:
    path = write(tmp_path / "pairs.jsonl", [PAIR, PAIR | {"prompt": "When?"} | change])
    assert refused(read(path)) == {reason: (1, ("pairs.jsonl:2",))}


def test_thoughts_are_not_read(tmp_path: Path) -> None:
    thoughtful = write(tmp_path / "thoughtful.csv", [PAIR | {"response_a": "<think>Rain?</think>Because."}])
    plain = write(tmp_path / "plain.csv", [PAIR])
    assert read(thoughtful).responses == read(plain).responses == ("Because.", "Who knows.")
    assert judgments_of(read(thoughtful)) == judgments_of(read(plain))


def test_the_longest_text_that_is_allowed_is_kept(tmp_path: Path) -> None:
    data = read(write(tmp_path / "pairs.csv", [PAIR | {"response_a": "x" * TEXT_LIMIT}]))
    assert len(data.responses[0]) == TEXT_LIMIT


def test_a_text_beyond_the_csv_modules_own_limit_is_refused_like_any_other(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.csv", [PAIR | {"response_a": "x" * 200_000}, PAIR])
    csv.field_size_limit(131_072)
    assert refused(read(path)) == {Reason.TOO_LONG: (1, ("pairs.csv:2",))}


def test_the_first_of_two_judgments_of_a_pair_counts_whatever_its_sides(tmp_path: Path) -> None:
    swapped = PAIR | {"response_a": PAIR["response_b"], "response_b": PAIR["response_a"]}
    data = read(write(tmp_path / "pairs.csv", [PAIR, swapped, PAIR | {"choice": "b"}, PAIR | {"user": "bob"}]))
    assert refused(data) == {Reason.JUDGED_BEFORE: (2, ("pairs.csv:3", "pairs.csv:4"))}
    assert [(user, towards) for user, *_, towards, _ in judgments_of(data)] == [("ann", 1.0), ("bob", 1.0)]


def test_rows_are_located_by_the_line_on_which_they_begin(tmp_path: Path) -> None:
    long = PAIR | {"prompt": "one\ntwo\r\nthree"}
    data = read(write(tmp_path / "pairs.csv", [long, PAIR | {"choice": "?"}, long | {"choice": "?"}, PAIR]))
    assert refused(data) == {Reason.UNKNOWN_CHOICE: (2, ("pairs.csv:5", "pairs.csv:6"))}


def test_only_the_first_places_are_named_but_all_rows_counted(tmp_path: Path) -> None:
    data = read(write(tmp_path / "pairs.parquet", [*([PAIR | {"choice": "?"}] * 9), PAIR]))
    places = tuple(f"pairs.parquet:{row}" for row in range(1, PLACES + 1))
    assert refused(data) == {Reason.UNKNOWN_CHOICE: (9, places)}
    assert "pairs.parquet:5, …" in str(data.refused)


def test_the_report_holds_no_word_of_a_person(tmp_path: Path) -> None:
    secret = {"user": "SECRET", "prompt": "SECRET", "response_a": "SECRET a", "response_b": "SECRET b"}
    records = [PAIR, *(PAIR | secret | change for change, _ in REFUSED if "SECRET" not in change), PAIR | secret]
    records += [PAIR | secret, PAIR | secret | {"choice": "SECRET"}, PAIR | secret | {"strength": "SECRET"}]
    data = read(write(tmp_path / "pairs.jsonl", records))
    assert data.refused.rows == len(records)
    assert len(data.refused.refused) >= 10
    assert "SECRET" not in str(data.refused)
    with pytest.raises(InvalidInput) as nothing:
        read(write(tmp_path / "pairs.jsonl", records[-2:]))
    assert "SECRET" not in str(nothing.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_prompt_may_be_a_conversation(tmp_path: Path, suffix: str) -> None:
    data = read(write(tmp_path / f"pairs.{suffix}", [PAIR | {"prompt": TURNS}]))
    assert data.conversations == (Conversation.of(TURNS),)


def test_a_plain_prompt_and_its_single_user_turn_are_one_conversation(tmp_path: Path) -> None:
    records = [PAIR, PAIR | {"user": "bob", "prompt": [{"role": "user", "content": PAIR["prompt"]}]}]
    assert len(read(write(tmp_path / "pairs.jsonl", records)).conversations) == 1
