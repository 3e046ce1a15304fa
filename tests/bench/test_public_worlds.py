"""Public sets of judgments as they lie in their folders: what is a prompt, what is an answer, who is tested."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from world_files import encode, items, taught, write

from bench.compare.world import NOBODY
from bench.compare.worlds import captions, dices, llmfao, mtbench
from elicitation.errors import InvalidInput

PEOPLE, QUESTIONS = 20, 12
COMPARISONS = (llmfao, captions, mtbench)
SUITES = (*COMPARISONS, dices)
FOLDERS = {llmfao: "llmfao", captions: "caption_density", mtbench: "mtbench", dices: "dices350"}


def longer(person: int, place: int) -> str:
    """Everybody prefers the longer side b, but for one in five."""
    return "a" if (person + place) % 5 == 0 else ("tie" if (person + place) % 7 == 0 else "b")


def llmfao_files(folder: Path) -> None:
    pairs = [(i, i % QUESTIONS, f"prompt {i % QUESTIONS}", f"short {i}", f"a longer one {i}") for i in range(24)]
    write(folder / "pairs.csv.gz", ("pair_id", "prompt_id", "prompt", "response_a", "response_b"), pairs)
    judged = [(u, i, longer(u, i)) for u in range(PEOPLE) for i in range(24)]
    write(folder / "judgments.csv.gz", ("user", "pair_id", "choice"), judged)


def caption_files(folder: Path) -> None:
    rows = [
        (u, f"{p:04}", "coco", f"short {u} {p}", f"a longer one {u} {p}", longer(u, p))
        for u, p in itertools.product(range(PEOPLE), range(QUESTIONS))
    ]
    write(folder / "preference.csv.gz", ("user", "picture", "kind_a", "response_a", "response_b", "choice"), rows)
    write(folder / "informativity.csv.gz", ("user", "picture", "other"), [(0, 1, 2)])


def mtbench_files(folder: Path) -> None:
    header = (
        "pair_id",
        "question_id",
        "turn",
        "prompt_1",
        "prompt_2",
        "first_a",
        "first_b",
        "response_a",
        "response_b",
    )
    pairs = [
        (
            f"{q}t{turn}",
            q,
            turn,
            f"ask {q}",
            *((f"then {q}", "x", "y") if turn == 2 else ("", "", "")),
            f"short {q}{turn}",
            f"a longer one {q}{turn}",
        )
        for q, turn in itertools.product(range(QUESTIONS), (1, 2))
    ]
    write(folder / "pairs.csv.gz", header, pairs)
    judged = [(u, pair[0], longer(u, place)) for u in range(PEOPLE) for place, pair in enumerate(pairs)]
    write(folder / "judgments.csv.gz", ("user", "pair_id", "choice"), judged)


def dices_files(folder: Path) -> None:
    replies = [(100 + i, f"USER: say {i}", f"Reply {i}.", "Yes") for i in range(40)]
    write(folder / "items.csv.gz", ("item_id", "prompt", "response", "expert_unsafe"), replies)
    said = [(u, 100 + i, ("Yes", "No", "Unsure")[(u * i) % 3]) for u in range(PEOPLE) for i in range(40)]
    write(folder / "judgments.csv.gz", ("user", "item_id", "unsafe"), said)


WRITE = {llmfao: llmfao_files, captions: caption_files, mtbench: mtbench_files, dices: dices_files}


def name(suite: Any) -> str:
    return str(suite.__name__.rpartition(".")[2])


@pytest.fixture(params=SUITES, ids=name)
def suite(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    WRITE[request.param](tmp_path / FOLDERS[request.param])
    return request.param


@pytest.fixture(params=COMPARISONS, ids=name)
def comparisons(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    WRITE[request.param](tmp_path)
    return request.param


def test_a_suite_reads_its_own_folder_or_the_one_above(suite: Any, tmp_path: Path) -> None:
    above, own = (suite.worlds(0, False, folder, encode) for folder in (tmp_path, tmp_path / FOLDERS[suite]))
    assert [world.name for world in above] == [world.name for world in own]
    assert all(torch.equal(a.features, b.features) for a, b in zip(above, own, strict=True))


def test_a_suite_without_its_data_says_where_to_get_them(suite: Any, tmp_path: Path) -> None:
    for folder in (None, tmp_path / "elsewhere"):
        with pytest.raises(InvalidInput, match=f"^{FOLDERS[suite]} needs data: .*--data DIR"):
            suite.worlds(0, False, folder, encode)


def test_a_file_without_its_columns_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "preference.csv.gz", ("user", "response_a", "response_b"), [(1, "x", "y")])
    with pytest.raises(InvalidInput, match="preference has no column picture, choice; it needs user, picture"):
        captions.worlds(0, False, tmp_path, encode)


def test_everybody_is_tested_on_prompts_that_nobody_learned_from(comparisons: Any, tmp_path: Path) -> None:
    found = comparisons.worlds(0, False, tmp_path, encode)
    assert sorted(person.person for world in found for person in world.people) == list(range(PEOPLE))
    for world in found:
        asked, tested = (set().union(*parts) for parts in zip(*map(items, world.people), strict=True))
        assert not tested & (asked | taught(world))


def test_the_longer_answer_wins_as_it_was_chosen(comparisons: Any, tmp_path: Path) -> None:
    for world in comparisons.worlds(0, False, tmp_path, encode):
        longer_left = world.differences(world.train.pairs)[:, world.length] > 0
        decided = world.train.outcomes.towards != 0
        assert 0.7 < float((longer_left == (world.train.outcomes.towards > 0))[decided].double().mean()) < 0.95


def test_both_turns_of_a_question_are_held_out_together(tmp_path: Path) -> None:
    mtbench_files(tmp_path)
    data, questions = mtbench._judged(tmp_path)
    assert [said.last_user for said in data.conversations[:2]] == ["ask 0", "ask 0\n\nthen 0"]
    assert questions.bincount().tolist() == [2] * QUESTIONS
    question_of_item = questions[data.items[:, 0]]
    for world in mtbench.worlds(0, False, tmp_path, encode):
        tested = {item for person in world.people for item in items(person)[1]}
        known = {int(question_of_item[item]) for item in taught(world)}
        assert not {int(question_of_item[item]) for item in tested} & known


def test_a_reply_that_is_not_called_unsafe_is_agreed_with(tmp_path: Path) -> None:
    dices_files(tmp_path)
    own, text = dices.worlds(0, False, tmp_path, encode)
    assert [world.name for world in (own, text)] == ["dices", "dices-text"]
    assert bool((own.train.pairs.right == NOBODY).all())
    for person in own.people:
        expected = {item: ("Yes", "No", "Unsure")[(person.person * item) % 3] for item in range(40)}
        for item, label in zip(person.targets.left.tolist(), person.labels.tolist(), strict=True):
            assert expected[item] == ("No" if label else "Yes")
