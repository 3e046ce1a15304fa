"""Worlds of simulated people: who and what is held out, what people are made of, and what methods get to see."""

import itertools
from pathlib import Path

import pytest
import torch
from world_files import debate_files, encode, items, same, taught, write

from bench.compare.world import World
from bench.compare.worlds import attributes, bank
from bench.compare.worlds.parts import QUESTIONS, TARGETS, TRAIN
from bench.compare.worlds.simulated import answers, calibrated
from bench.compare.worlds.text import LENGTH
from elicitation.errors import InvalidInput
from elicitation.simulate import REPEAT
from reward_bases.artifact import DEFAULT
from reward_bases.bank import load_bank

pytestmark = pytest.mark.slow

ANSWERS_PER_PROMPT = 8


@pytest.fixture(scope="module")
def traits_world() -> World:
    (world,) = attributes.worlds(0, False, None, encode)
    return world


def test_eighty_four_people_like_two_signed_traits_that_do_not_contradict_each_other() -> None:
    people = attributes.tastes()
    assert len({tuple(row) for row in people.tolist()}) == 84
    assert bool((people.abs().sum(1) == 2).all())
    assert bool((people.abs().max(1).values == 1).all())


def test_five_seeds_hold_everybody_out_and_keep_opposites_together() -> None:
    people = attributes.tastes()
    held_out = [attributes.split(seed)[1] for seed in range(5)]
    assert torch.cat(held_out).unique().tolist() == list(range(84))
    assert all(not bool(people[rows].sum(0).any()) for rows in held_out)


@pytest.mark.parametrize("seed", [0, 7])
def test_training_people_and_held_out_people_are_all_people_and_nobody_twice(seed: int) -> None:
    train, held_out = attributes.split(seed)
    assert sorted(torch.cat([train, held_out]).tolist()) == list(range(84))


def test_prompts_of_training_questions_and_targets_are_disjoint(traits_world: World) -> None:
    asked, tested = (set().union(*parts) for parts in zip(*map(items, traits_world.people), strict=True))
    groups = [{item // ANSWERS_PER_PROMPT for item in part} for part in (taught(traits_world), asked, tested)]
    assert [len(group) for group in groups] == [60, 40, 40]
    assert not any(a & b for a, b in itertools.combinations(groups, 2))


def test_what_is_served_comes_from_prompts_of_the_training_part(traits_world: World) -> None:
    served = {item // ANSWERS_PER_PROMPT for item in traits_world.served.left.tolist()}
    assert served == {item // ANSWERS_PER_PROMPT for item in taught(traits_world)}


def test_training_people_answer_fifty_questions_and_share_pairs(traits_world: World) -> None:
    train = traits_world.train
    assert torch.bincount(train.people).tolist() == [50] * train.size
    assert bool((train.people.diff() >= 0).all())
    distinct = len(set(zip(train.pairs.left.tolist(), train.pairs.right.tolist(), strict=True)))
    assert len(train.people) / distinct > 5


def test_labels_of_targets_are_the_sign_of_a_utility_of_recorded_traits_without_noise_and_ties(
    traits_world: World,
) -> None:
    recorded = [answer.traits for prompt in load_bank(DEFAULT / "bank.json").prompts for answer in prompt.answers]
    levels = torch.tensor([[row[trait] for trait in attributes.TRAITS] for row in recorded], dtype=torch.float64)
    for person in traits_world.people:
        utility = levels @ attributes.tastes()[person.person]
        gap = utility[person.targets.left] - utility[person.targets.right]
        assert bool((gap != 0).all())
        assert torch.equal(person.labels, gap > 0)


def test_tastes_and_answers_do_not_depend_on_features(traits_world: World) -> None:
    (other,) = attributes.worlds(0, False, None, lambda texts: encode(texts, "another encoder"))
    assert not torch.equal(traits_world.features, other.features)
    assert torch.equal(traits_world.train.outcomes.column, other.train.outcomes.column)
    for one, two in zip(traits_world.people, other.people, strict=True):
        assert torch.equal(one.outcomes.column, two.outcomes.column)
        assert torch.equal(one.labels, two.labels)


def test_people_repeat_eighty_five_percent_of_the_choices_they_are_not_indifferent_to() -> None:
    generator = torch.Generator().manual_seed(1)
    gaps = torch.randint(-1, 2, (2000, len(attributes.TRAITS)), generator=generator).double()
    repeated = []
    for own in calibrated(attributes.tastes(), gaps)[::10]:
        decided = (gaps @ own)[(gaps @ own) != 0]
        first, second = (answers(decided, generator).column for _ in range(2))
        repeated.append(float((first == second).double().mean()))
    assert abs(sum(repeated) / len(repeated) - REPEAT) < 0.02


def test_the_same_seed_gives_the_same_world_and_another_another_split(traits_world: World) -> None:
    (again,) = attributes.worlds(0, False, None, encode)
    (other,) = attributes.worlds(1, False, None, encode)
    assert same(traits_world, again)
    assert not same(traits_world, other)
    assert {p.person for p in other.people} != {p.person for p in traits_world.people}


def test_sides_are_drawn_by_lot(traits_world: World) -> None:
    pairs_ = traits_world.people[0].pool
    assert 0.4 < float((pairs_.left < pairs_.right).double().mean()) < 0.6


def test_differences_of_training_features_have_standard_deviation_one(traits_world: World) -> None:
    deviation = traits_world.differences(traits_world.served).square().mean(0).sqrt()
    assert bool(((deviation - 1).abs() < 1e-6)[deviation > 0].all())


def test_the_length_column_counts_length(traits_world: World) -> None:
    texts = [answer.text for prompt in load_bank(DEFAULT / "bank.json").prompts for answer in prompt.answers]
    words = torch.tensor([float(len(text.split())) for text in texts], dtype=torch.float64)
    assert traits_world.length == LENGTH
    assert float(torch.corrcoef(torch.stack([words, traits_world.features[:, LENGTH]]))[0, 1]) > 0.9


def test_people_who_are_asked_the_same_questions_share_one_pool(traits_world: World) -> None:
    assert len({person.pool for person in traits_world.people}) == 1


def test_a_quick_world_has_fewer_people_and_the_same_prompts(traits_world: World) -> None:
    (quick,) = attributes.worlds(0, True, None, encode)
    assert len(quick.people) < len(traits_world.people)
    assert torch.equal(quick.features, traits_world.features)


@pytest.mark.parametrize(
    ("text", "trait", "level"),
    [
        ("one two three", "brevity", -3),
        ("It's here, and I don't mind", "formality", -2),
        ("- a\n- b\n1. c", "structure", 3),
        ("Hello! Thanks", "warmth", 3),
        ("It might perhaps rain", "directness", -2),
        ("use `x` 12 times", "technical", 3),
        ("Why? And what for?", "inquiry", 2),
    ],
)
def test_traits_of_real_texts_are_what_one_can_count(text: str, trait: str, level: float) -> None:
    assert attributes.counted(text)[attributes.TRAITS.index(trait)] == level


def _web(folder: Path) -> None:
    words = ("It's fine!", "Maybe 12 of them?", "- yes", "Thanks, hello", "It could be so", "plain and long words here")
    said = [f"{a} {b}" for a, b in itertools.permutations(words, 2)]
    judged = [(i, 0, f"instruction {i % 12}", said[i % 30], said[(i + 7) % 30], "a") for i in range(120)]
    write(
        folder / "pandalm" / "judgments.csv.gz",
        ("item", "annotator", "prompt", "response_a", "response_b", "choice"),
        judged,
    )
    debate_files(folder)


def test_the_world_of_real_texts_keeps_both_sides_of_a_debate_in_one_part(tmp_path: Path) -> None:
    _web(tmp_path)
    generator = torch.Generator().manual_seed(0)
    texts = attributes._web_texts(tmp_path, generator)
    debates: dict[str, set[int]] = {}
    for conversation, part in zip(texts.conversations, texts.parts.tolist(), strict=True):
        debates.setdefault(conversation.last_user.split(" Argue")[0], set()).add(part)
    assert all(len(parts) == 1 for parts in debates.values())
    assert set(texts.parts.tolist()) == {TRAIN, QUESTIONS, TARGETS}


def test_the_world_of_real_texts_shows_few_pairs_per_prompt_that_differ_in_several_traits(tmp_path: Path) -> None:
    _web(tmp_path)
    stage = attributes.web_stage(tmp_path, torch.Generator().manual_seed(0), encode)
    assert int(torch.bincount(stage.prompts).max()) <= attributes.PAIRS_PER_PROMPT
    assert bool((stage.gaps.abs().sum(1) >= 2).all())
    assert set(stage.gaps.flatten().tolist()) <= {-1.0, 0.0, 1.0}


def test_a_folder_without_the_texts_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"pandalm/judgments\.csv\.gz"):
        attributes.web_stage(tmp_path, torch.Generator(), encode)


def test_the_banks_people_are_held_out_with_their_prompts_and_new_in_every_seed() -> None:
    (one,), (two,) = (bank.worlds(seed, True, None) for seed in (0, 1))
    part = [p.part for p in load_bank(DEFAULT / "bank.json").prompts for _ in p.answers]
    asked, tested = (set().union(*parts) for parts in zip(*map(items, one.people), strict=True))
    assert [{part[item] for item in group} for group in (taught(one), asked, tested)] == [
        {"heads"},
        {"questions"},
        {"test"},
    ]
    assert not {p.person for p in one.people} & {p.person for p in two.people}
    assert one.train.size == bank.TEACHERS
    assert not same(one, two)
