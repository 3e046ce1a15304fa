"""Every kind of preference data: chosen and rejected, ratings, votes, texts by id, and judgments of given features."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from preference_files import SUFFIXES, TURNS, Record, judgments_of, refused, write

from elicitation.errors import InvalidInput
from reward_bases.text import Conversation, digest
from reward_bases.train.data.reading import Kind, read
from reward_bases.train.data.values import Reason


def answer(text: str) -> list[Record]:
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "record",
    [
        {"prompt": TURNS, "chosen": answer("better"), "rejected": answer("worse")},
        {"chosen": TURNS + answer("better"), "rejected": TURNS + answer("worse")},
        {"prompt": "Rain.", "chosen": TURNS + answer("better"), "rejected": TURNS + answer("worse")},
        {"prompt": TURNS, "chosen": "better", "rejected": "worse"},
    ],
)
def test_chosen_and_rejected_are_read_with_and_without_a_prompt(tmp_path: Path, suffix: str, record: Record) -> None:
    ((_, asked, left, right, towards, _),) = judgments_of(
        read(write(tmp_path / f"trl.{suffix}", [{"user": "ann", **record}]))
    )
    assert asked == Conversation.of(TURNS)
    assert {left, right} == {"better", "worse"}
    assert (left if towards > 0 else right) == "better"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"chosen": "better", "rejected": "worse"}, Reason.NO_PROMPT),
        ({"chosen": answer("better"), "rejected": answer("worse")}, Reason.NO_PROMPT),
        ({"chosen": TURNS + answer("same"), "rejected": TURNS + answer("same")}, Reason.IDENTICAL),
        ({"chosen": TURNS + answer("better"), "rejected": TURNS}, Reason.MESSAGES),
        ({"chosen": TURNS + answer("a") + TURNS, "rejected": TURNS + answer("b") + TURNS}, Reason.MESSAGES),
        ({"prompt": "Why?", "chosen": "better", "rejected": None}, Reason.EMPTY_RESPONSE),
    ],
)
def test_chosen_and_rejected_without_a_prompt_or_a_single_answer_are_refused(
    tmp_path: Path, record: Record, reason: Reason
) -> None:
    good = {"user": "ann", "prompt": "When?", "chosen": "now", "rejected": "never"}
    path = write(tmp_path / "trl.jsonl", [good, {"user": "ann", **record}])
    assert refused(read(path)) == {reason: (1, ("trl.jsonl:2",))}


def test_no_side_is_favoured_where_nobody_was_shown_sides(tmp_path: Path) -> None:
    records = [{"user": "ann", "prompt": "Why?", "chosen": f"better {i}", "rejected": f"worse {i}"} for i in range(400)]
    towards = read(write(tmp_path / "trl.csv", records)).outcomes.towards
    assert abs(float(towards.mean())) < 4 / 400**0.5


def rating(user: str, prompt: str, response: str, value: Any) -> Record:
    return {"user": user, "prompt": prompt, "response": response, "rating": value}


def test_ratings_of_one_person_and_prompt_become_pairs_that_the_higher_one_wins(tmp_path: Path) -> None:
    values = {"poor": 1, "good": 4.5, "as good": "4.5"}
    data = read(
        write(tmp_path / "ratings.jsonl", [rating("ann", "Why?", text, value) for text, value in values.items()])
    )
    assert data.kind == Kind.RATINGS
    assert {frozenset(sides) for _, _, *sides, _, _ in judgments_of(data)} == {
        frozenset(sides) for sides in itertools.combinations(values, 2)
    }
    for _, _, left, right, towards, strength in judgments_of(data):
        assert towards == np.sign(float(values[left]) - float(values[right]))
        assert strength == 0
        assert digest(left) < digest(right)


def test_ratings_of_two_people_or_two_prompts_are_never_compared(tmp_path: Path) -> None:
    records = [rating(user, prompt, f"{user} {prompt} {i}", i) for user in "ab" for prompt in "pq" for i in range(2)]
    data = read(write(tmp_path / "ratings.csv", records))
    assert len(data.left) == 4
    for user, asked, left, right, _, _ in judgments_of(data):
        assert {left, right} == {f"{user} {asked.last_user} {i}" for i in range(2)}


def test_a_lone_rating_is_refused(tmp_path: Path) -> None:
    records = [rating("ann", "Why?", "x", 1), rating("ann", "Why?", "y", 2), rating("ann", "When?", "x", 3)]
    data = read(write(tmp_path / "ratings.csv", [*records, rating("bob", "Why?", "x", 3)]))
    assert refused(data) == {Reason.ALONE: (2, ("ratings.csv:4", "ratings.csv:5"))}
    assert str(Reason.ALONE) == "nothing to compare it with"
    assert (data.user_ids, data.refused.used) == (("ann",), 2)


def test_a_second_rating_of_a_response_is_refused_and_does_not_count_as_company(tmp_path: Path) -> None:
    records = [rating("ann", "Why?", text, 1) for text in "xy"] + [rating("bob", "Why?", "x", i) for i in range(2)]
    found = refused(read(write(tmp_path / "ratings.csv", records)))
    assert found == {Reason.JUDGED_BEFORE: (1, ("ratings.csv:5",)), Reason.ALONE: (1, ("ratings.csv:4",))}


@pytest.mark.parametrize("value", ["", "good", "nan", "inf"])
def test_a_rating_must_be_a_number(tmp_path: Path, value: str) -> None:
    records = [rating("ann", "Why?", text, 1) for text in "xy"] + [rating("ann", "Why?", "z", value)]
    assert refused(read(write(tmp_path / "ratings.csv", records))) == {Reason.NOT_A_NUMBER: (1, ("ratings.csv:4",))}


@pytest.mark.parametrize(("responses", "limit"), [(7, 10), (6, 14), (6, 15), (5, 9), (40, 10)])
def test_many_ratings_make_a_limited_number_of_different_pairs_evenly_drawn(
    tmp_path: Path, responses: int, limit: int
) -> None:
    path = write(tmp_path / "ratings.csv", [rating("ann", "Why?", f"r{i}", i) for i in range(responses)])
    data = read(path, pairs_per_prompt=limit)
    drawn = [frozenset(sides) for _, _, *sides, _, _ in judgments_of(data)]
    assert len(set(drawn)) == len(drawn) == limit
    counts = np.bincount(torch.cat([data.left, data.right]), minlength=min(responses, 2 * limit))
    assert counts.max() - counts.min() <= 2
    assert judgments_of(read(path, pairs_per_prompt=limit)) == judgments_of(data)
    if limit < responses * (responses - 1) // 2:
        assert judgments_of(read(path, seed=1, pairs_per_prompt=limit)) != judgments_of(data)


def test_votes_judge_one_item_alone(tmp_path: Path) -> None:
    votes = {"agreed": "1", "disagreed": "-1", "passed": "0", "also agreed": "agree"}
    records = [{"user": "ann", "statement": text, "vote": vote} for text, vote in votes.items()]
    data = read(write(tmp_path / "votes.csv", records))
    assert (data.kind, data.conversations) == (Kind.VOTES, (Conversation.of(""),))
    assert (data.right == -1).all()
    assert [(left, towards) for _, _, left, _, towards, _ in judgments_of(data)] == list(
        zip(votes, [1.0, -1.0, 0.0, 1.0], strict=True)
    )


def test_votes_may_have_prompts_and_call_the_statement_a_response(tmp_path: Path) -> None:
    record = {"user": "ann", "prompt": "Why?", "response": "Because.", "vote": -1}
    unknown = record | {"response": "So what.", "vote": 2}
    data = read(write(tmp_path / "votes.parquet", [record, unknown]))
    assert judgments_of(data) == [("ann", Conversation.of("Why?"), "Because.", None, -1.0, 0.0)]
    assert refused(data) == {Reason.UNKNOWN_VOTE: (1, ("votes.parquet:2",))}


def test_votes_may_name_statements_by_id(tmp_path: Path) -> None:
    write(tmp_path / "statements.csv.gz", [{"id": i, "text": text} for i, text in enumerate(["yes", "", "no"])])
    votes = [{"user": 5, "statement": i, "vote": 1} for i in (2, 0, 1, 9)]
    data = read(write(tmp_path / "votes.csv.gz", votes).parent)
    assert [left for _, _, left, *_ in judgments_of(data)] == ["no", "yes"]
    assert refused(data) == {
        Reason.EMPTY_RESPONSE: (1, ("statements.csv.gz:3",)),
        Reason.UNKNOWN_ID: (2, ("votes.csv.gz:4", "votes.csv.gz:5")),
    }


def test_pairs_may_name_texts_by_id(tmp_path: Path) -> None:
    shelf = [{"id": i, "prompt": prompt, "text": f"text {i}"} for i, prompt in enumerate(["p", "p", "q", "p"])]
    write(tmp_path / "arguments.csv", [*shelf, shelf[0]])
    pairs = [{"user": 1, "a": a, "b": b, "choice": "b"} for a, b in [(3, 0), (0, 2), (1, 1)]]
    data = read(write(tmp_path / "judgments.csv", pairs).parent)
    assert judgments_of(data) == [("1", Conversation.of("p"), "text 3", "text 0", -1.0, 0.0)]
    assert refused(data) == {
        Reason.REPEATED_ID: (1, ("arguments.csv:6",)),
        Reason.TWO_PROMPTS: (1, ("judgments.csv:3",)),
        Reason.IDENTICAL: (1, ("judgments.csv:4",)),
    }


PAIR_SHELF = [
    {"pair_id": i, "slug": "x", "prompt": f"p{i % 2}", "response_a": f"a{i}", "response_b": b}
    for i, b in enumerate(["b0", "b1", "", "a3", "b4"])
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_judgments_may_name_pairs_by_id(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"pairs.{suffix}", PAIR_SHELF)
    judged = [(1, 4, "b", "clear"), (2, 1, "a", ""), (1, 0, "tie", "")]
    records = [dict(zip(("user", "pair_id", "choice", "strength"), row, strict=True)) for row in judged]
    data = read(write(tmp_path / f"judgments.{suffix}", records).parent)
    assert data.kind == Kind.PAIRS
    assert judgments_of(data) == [
        ("1", Conversation.of("p0"), "a4", "b4", -1.0, 1.0),
        ("1", Conversation.of("p0"), "a0", "b0", 0.0, 0.0),
        ("2", Conversation.of("p1"), "a1", "b1", 1.0, 0.0),
    ]


def test_pairs_named_by_id_are_read_as_if_their_texts_stood_in_the_judgments(tmp_path: Path) -> None:
    choices = [(user, pair, "ab"[(user + pair) % 2]) for user in range(3) for pair in (0, 1, 4)]
    (tmp_path / "ids").mkdir()
    write(tmp_path / "ids" / "pairs.csv", PAIR_SHELF)
    write(tmp_path / "ids" / "judgments.csv", [{"user": u, "pair_id": p, "choice": c} for u, p, c in choices])
    whole = write(tmp_path / "whole.csv", [{"user": u, **PAIR_SHELF[p], "choice": c} for u, p, c in choices])
    assert judgments_of(read(tmp_path / "ids")) == judgments_of(read(whole))


def test_pairs_that_cannot_be_used_are_refused_with_all_their_judgments(tmp_path: Path) -> None:
    write(tmp_path / "pairs.csv", [*PAIR_SHELF, PAIR_SHELF[0]])
    records = [{"user": 1, "pair_id": pair, "choice": "a"} for pair in (0, 2, 3, 9, "")]
    data = read(write(tmp_path / "judgments.csv", records).parent)
    assert [left for _, _, left, *_ in judgments_of(data)] == ["a0"]
    assert refused(data) == {
        Reason.REPEATED_ID: (1, ("pairs.csv:7",)),
        Reason.EMPTY_RESPONSE: (1, ("pairs.csv:4",)),
        Reason.UNKNOWN_ID: (2, ("judgments.csv:3", "judgments.csv:5")),
        Reason.IDENTICAL: (1, ("judgments.csv:4",)),
        Reason.NO_ID: (1, ("judgments.csv:6",)),
    }


@pytest.mark.parametrize(
    ("named", "columns"),
    [({"a": 0, "b": 1}, "id, prompt, text"), ({"pair_id": 0}, "pair_id, prompt, response_a, response_b")],
)
def test_ids_without_their_texts_are_an_error(tmp_path: Path, named: Record, columns: str) -> None:
    with pytest.raises(InvalidInput, match=f"by id; give a folder with a file {columns} beside it"):
        read(write(tmp_path / "judgments.csv", [{"user": 1, **named, "choice": "b"}]))


def test_the_texts_of_one_kind_of_id_do_not_stand_in_for_the_other(tmp_path: Path) -> None:
    write(tmp_path / "statements.csv", [{"id": 0, "text": "yes"}])
    with pytest.raises(InvalidInput, match="a file pair_id, prompt, response_a, response_b"):
        read(write(tmp_path / "judgments.csv", [{"user": 1, "pair_id": 0, "choice": "b"}]).parent)


def test_pairs_without_judgments_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="texts without judgments"):
        read(write(tmp_path / "pairs.csv", PAIR_SHELF))


def test_judgments_of_given_features_refer_to_their_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "items.npy", np.zeros((4, 2)))
    sides = [(3, 0), (0, 4), (-1, 2), (2, 2), (1, 0.5), (0, 3), (1, 2)]
    records = [{"user": "ann", "left": left, "right": right, "choice": "left"} for left, right in sides]
    data = read(write(tmp_path / "judgments.csv", records))
    assert (data.kind, data.table) == (Kind.INDEXED, tmp_path / "items.npy")
    assert (data.left.tolist(), data.right.tolist(), data.prompts.tolist()) == ([3, 1], [0, 2], [0, 0])
    assert (data.conversations, data.responses, data.items.shape) == ((), (), (0, 2))
    assert refused(data) == {
        Reason.IDENTICAL: (1, ("judgments.csv:5",)),
        Reason.OUTSIDE: (3, ("judgments.csv:3", "judgments.csv:4", "judgments.csv:6")),
        Reason.JUDGED_BEFORE: (1, ("judgments.csv:7",)),
    }


def test_judgments_of_given_features_may_tell_prompts_apart(tmp_path: Path) -> None:
    np.save(tmp_path / "items.npy", np.zeros((4, 2)))
    records = [{"user": 1, "left": 0, "right": i, "choice": "same", "prompt": p} for i, p in [(1, 8), (2, 9), (3, 8)]]
    assert read(write(tmp_path / "judgments.parquet", records)).prompts.tolist() == [0, 1, 0]


def test_judgments_of_given_features_need_the_features(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"items\.npy"):
        read(write(tmp_path / "judgments.csv", [{"user": 1, "left": 0, "right": 1, "choice": "same"}]))
