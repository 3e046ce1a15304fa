"""Worlds of real people's votes and comparisons: what is held out, and what a file must bring."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from world_files import (
    ARGUMENTS,
    STATEMENTS,
    VOTERS,
    WORKERS,
    comparisons,
    conversation_files,
    debate_files,
    encode,
    items,
    taught,
)

from bench.compare.world import NOBODY, World
from bench.compare.worlds import pairs, polis, polis_text, ukp, votes
from bench.compare.worlds.text import LENGTH
from elicitation.errors import InvalidInput


@pytest.fixture
def conversation(tmp_path: Path) -> tuple[World, World]:
    conversation_files(tmp_path / "polis" / "parks")
    (own,) = polis.worlds(0, False, tmp_path, encode)
    (text,) = polis_text.worlds(0, False, tmp_path, encode)
    return own, text


def test_every_conversation_gives_a_world_of_statements_and_one_of_texts(conversation: tuple[World, World]) -> None:
    assert [world.name for world in conversation] == ["parks", "parks-text"]
    assert torch.equal(conversation[0].features, torch.eye(STATEMENTS, dtype=torch.float64))
    assert [world.length for world in conversation] == [None, LENGTH]
    assert len(conversation[0].served) == STATEMENTS


def test_votes_judge_one_item_and_are_their_own_prompt(conversation: tuple[World, World]) -> None:
    for world in conversation:
        assert bool((world.train.pairs.right == NOBODY).all())
        assert torch.equal(world.train.prompts, world.train.pairs.left)


def test_a_random_half_of_the_votes_without_passes_is_tested_and_the_rest_asked(
    conversation: tuple[World, World],
) -> None:
    for person in conversation[0].people:
        asked, tested = items(person)
        said = int((person.outcomes.towards != 0).sum())
        assert not asked & tested
        assert len(tested) in (said, said - 1)
        assert bool((person.outcomes.towards == 0).any())


def test_held_out_people_are_a_share_of_the_busy_and_teach_nothing(conversation: tuple[World, World]) -> None:
    own, _ = conversation
    votes_of_held_out = sum(len(p.pool) + len(p.targets) for p in own.people)
    cast = sum((u * s) % 7 != 3 for u in range(VOTERS) for s in range(STATEMENTS))
    assert len(own.people) + own.train.size == VOTERS
    assert len(own.train.people) == cast - votes_of_held_out
    assert all(int((p.outcomes.towards != 0).sum()) + len(p.targets) >= votes.MIN_VOTES for p in own.people)


def test_hidden_statements_are_the_only_targets_and_teach_nothing(conversation: tuple[World, World]) -> None:
    _, text = conversation
    hidden = set(range(STATEMENTS)) - set(text.served.left.tolist())
    assert len(hidden) == round(votes.HIDDEN_SHARE * STATEMENTS)
    assert not taught(text) & hidden
    for person in text.people:
        asked, tested = items(person)
        assert not asked & hidden
        assert tested <= hidden


def test_a_person_has_one_number_in_every_seed(tmp_path: Path) -> None:
    conversation_files(tmp_path)
    found: dict[int, dict[int, int]] = {}
    for seed in range(3):
        for person in votes.worlds(seed, False, tmp_path, encode)[0].people:
            said = dict(zip(person.pool.left.tolist(), person.outcomes.column.tolist(), strict=True))
            said |= dict(zip(person.targets.left.tolist(), (2 - 2 * person.labels.long()).tolist(), strict=True))
            assert found.setdefault(person.person, said) == said
    assert len(found) > len(votes.worlds(0, False, tmp_path, encode)[0].people)


def test_a_quick_look_is_at_two_conversations(tmp_path: Path) -> None:
    for name in ("parks", "roads", "schools"):
        conversation_files(tmp_path / "polis" / name)
    assert [world.name for world in polis.worlds(0, True, tmp_path, encode)] == ["parks", "roads"]
    assert len(polis.worlds(0, False, tmp_path, encode)) == 3


def test_worlds_of_real_people_say_how_to_get_their_data(tmp_path: Path) -> None:
    for suite, source in ((polis, "compdemocracy"), (ukp, "UKPConvArg1")):
        for folder in (None, tmp_path):
            with pytest.raises(InvalidInput, match=rf"{source}.*--data DIR"):
                suite.worlds(0, False, folder)


@pytest.mark.parametrize(("suite", "flag"), [(votes, "--data DIR"), (pairs, "--data FILE")])
def test_suites_on_own_files_ask_for_the_file(suite: Any, flag: str) -> None:
    with pytest.raises(InvalidInput, match=flag):
        suite.worlds(0, False, None)


def test_comparisons_and_votes_are_told_apart(tmp_path: Path) -> None:
    conversation_files(tmp_path / "votes")
    comparisons(tmp_path / "pairs.csv.gz", shared=True)
    with pytest.raises(InvalidInput, match="keel bench votes"):
        pairs.worlds(0, False, tmp_path / "votes", encode)
    with pytest.raises(InvalidInput, match="keel bench pairs"):
        votes.worlds(0, False, tmp_path / "pairs.csv.gz", encode)


@pytest.fixture
def debates(tmp_path: Path) -> World:
    debate_files(tmp_path)
    (world,) = ukp.worlds(0, False, tmp_path, encode)
    return world


def test_no_debate_is_in_two_parts_whichever_its_side(debates: World) -> None:
    per_debate = 2 * ARGUMENTS
    asked, tested = (set().union(*parts) for parts in zip(*map(items, debates.people), strict=True))
    groups = [{item // per_debate for item in part} for part in (taught(debates), asked, tested)]
    assert [len(group) for group in groups] == [5, 5, 6]
    assert not any(a & b for a, b in itertools.combinations(groups, 2))
    assert {item // per_debate for item in debates.served.left.tolist()} == groups[0]


def test_held_out_workers_have_enough_to_be_asked_and_tested(debates: World) -> None:
    assert all(len(p.pool) >= ukp.MIN_POOL and len(p.targets) >= ukp.MIN_TARGETS for p in debates.people)
    assert len(debates.people) + debates.train.size <= WORKERS
