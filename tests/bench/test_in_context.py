"""Judges that read a person's answers: what reaches their prompts, and what becomes of it."""

from pathlib import Path

import pytest
import torch
import worlds as small
from readers import BIAS, LIKES, Reader, odds
from world_files import comparisons, encode, ten_each

from bench.compare.judges.judge import Remembering
from bench.compare.judges.opening import JudgeName
from bench.compare.judges.prompts import DESCRIPTION_TOKENS, NO_ANSWERS, NO_DESCRIPTION, TEXT_TOKENS, Wording
from bench.compare.methods import METHODS, judged
from bench.compare.peers.in_context import InContext
from bench.compare.peers.linear import LinearMethod
from bench.compare.peers.persona import Persona
from bench.compare.simulate import play
from bench.compare.world import Judgments, Pairs, World, texts_of
from bench.compare.worlds import pairs
from bench.compare.worlds.text import LENGTH
from elicitation.choice import Outcomes
from elicitation.errors import InvalidInput

METHODS_OF = {"in-context": InContext, "persona": Persona}
TEXTS = tuple((f"Question {i}?", f"Reply {i}, {'x' * (7 * i % 30)}") for i in range(12))
TARGETS = Pairs(torch.tensor([8, 10, 0]), torch.tensor([9, 11, 6]))


def answered(columns: list[int], size: int = 1) -> Judgments:
    """The first of ``size`` people says what the ``columns`` say of the pairs (0, 1), (2, 3), …"""
    left = 2 * torch.arange(len(columns))
    people = torch.zeros(len(columns), dtype=torch.long)
    column = torch.tensor(columns, dtype=torch.long)
    said = Outcomes(column, 1.0 - column.double(), torch.zeros(len(column), dtype=torch.float64))
    return Judgments(Pairs(left, left + 1), people, left, said, size)


def longer(sign: int, count: int = 4) -> list[int]:
    """The columns of somebody who prefers the longer response every time, or the shorter."""
    lengths = [len(response) for _, response in TEXTS]
    return [0 if sign * (lengths[2 * i] - lengths[2 * i + 1]) > 0 else 2 for i in range(count)]


def turned(some: Pairs) -> Pairs:
    return Pairs(some.right, some.left)


@pytest.mark.parametrize("name", METHODS_OF)
@pytest.mark.parametrize("sign", [1, -1])
def test_answers_decide_the_prediction_and_the_bias_to_a_letter_cancels(name: str, sign: int) -> None:
    belief = METHODS_OF[name](Wording(Reader(), TEXTS)).believe_pairs(answered(longer(sign)))
    lengths = torch.tensor([len(response) for _, response in TEXTS], dtype=torch.float64)
    expected = (sign * (lengths[TARGETS.left] - lengths[TARGETS.right]) / 10).sigmoid()
    torch.testing.assert_close(belief.prefer(0, TARGETS), expected)
    assert BIAS > 0


@pytest.mark.parametrize("name", METHODS_OF)
def test_turning_a_pair_round_turns_its_probability_round(name: str) -> None:
    belief = METHODS_OF[name](Wording(Reader(), TEXTS)).believe_pairs(answered(longer(1)))
    torch.testing.assert_close(belief.prefer(0, TARGETS), 1 - belief.prefer(0, turned(TARGETS)))


@pytest.mark.parametrize("name", METHODS_OF)
def test_without_answers_a_reader_of_answers_knows_nothing(name: str) -> None:
    reader = Reader()
    belief = METHODS_OF[name](Wording(reader, TEXTS)).believe_pairs(answered([], size=2))
    assert belief.prefer(1, TARGETS).tolist() == [0.5, 0.5, 0.5]
    told = {"in-context": NO_ANSWERS, "persona": f"taste: {NO_DESCRIPTION}"}[name]
    assert all(told in prompt for prompt in reader.asked)
    assert reader.describing == []


def test_the_prompt_has_the_answers_in_order_with_ties_and_then_the_pair() -> None:
    reader = Reader()
    InContext(Wording(reader, TEXTS)).believe_pairs(answered([0, 1, 2])).prefer(0, TARGETS)
    prompt, places = reader.asked[0], [reader.asked[0].index(f"Response A: {TEXTS[i][1]}\n") for i in (0, 2, 4, 8)]
    assert places == sorted(places)
    assert [line for line in prompt.splitlines() if line.startswith("Preferred:")] == [
        "Preferred: A",
        "Preferred: neither",
        "Preferred: B",
        "Preferred:",
    ]
    assert prompt.endswith("Preferred:")
    assert f"Prompt: {TEXTS[8][0]}\nResponse A: {TEXTS[8][1]}\nResponse B: {TEXTS[9][1]}\n" in prompt


def test_a_person_is_judged_by_their_own_answers() -> None:
    reader = Reader()
    InContext(Wording(reader, TEXTS)).believe_pairs(answered(longer(1), size=2)).prefer(1, TARGETS)
    assert not any(TEXTS[i][1] + "\n" in prompt for prompt in reader.asked for i in (2, 3, 4, 5))


def test_a_persona_sees_the_description_alone_and_is_written_once() -> None:
    reader = Reader()
    belief = Persona(Wording(reader, TEXTS)).believe_pairs(answered(longer(-1)))
    belief.prefer(0, TARGETS)
    belief.prefer(0, turned(TARGETS))
    (told,) = reader.describing
    assert all(TEXTS[i][1] in told for i in range(8))
    assert all(f"taste: {LIKES[-1]}" in prompt for prompt in reader.asked)
    assert not any(f": {TEXTS[i][1]}\n" in prompt for prompt in reader.asked for i in range(1, 6))


def test_the_oldest_answers_are_left_out_where_the_window_is_short() -> None:
    whole = Reader()
    InContext(Wording(whole, TEXTS)).believe_pairs(answered(longer(1))).prefer(0, TARGETS)
    short = Reader(context=len(whole.asked[0].split()))
    InContext(Wording(short, TEXTS)).believe_pairs(answered(longer(1))).prefer(0, TARGETS)
    assert TEXTS[0][1] in whole.asked[0]
    assert f"A: {TEXTS[0][1]}\n" not in short.asked[0]
    assert all(f"A: {TEXTS[i][1]}\n" in short.asked[0] for i in (2, 4, 6))
    assert short.tokens(short.asked[0]) < short.context


def test_a_description_leaves_room_for_itself() -> None:
    whole = Reader()
    Persona(Wording(whole, TEXTS)).believe_pairs(answered(longer(1))).prefer(0, TARGETS)
    short = Reader(context=whole.tokens(whole.describing[0]) + DESCRIPTION_TOKENS - 1)
    Persona(Wording(short, TEXTS)).believe_pairs(answered(longer(1))).prefer(0, TARGETS)
    assert f"A: {TEXTS[0][1]}\n" not in short.describing[0]
    assert f"A: {TEXTS[2][1]}\n" in short.describing[0]


@pytest.mark.parametrize("name", METHODS_OF)
def test_a_target_that_does_not_fit_is_refused(name: str) -> None:
    belief = METHODS_OF[name](Wording(Reader(context=20), TEXTS)).believe_pairs(answered([]))
    with pytest.raises(InvalidInput, match=r"takes \d+ tokens .* the 19 of the judge's window; .*--judge-context"):
        belief.prefer(0, TARGETS)


def test_texts_are_cut_to_the_stated_number_of_tokens() -> None:
    long = tuple((f"{'why ' * 1000}?", f"{word} " * 1000) for word in ("yes", "no"))
    pair = Wording(Reader(), long).pair(0, 1)
    assert [pair.count(word) for word in ("why", "yes", "no")] == [TEXT_TOKENS] * 3


def test_no_prompt_is_read_twice() -> None:
    reader = Reader()
    judge = Remembering(reader)
    belief = Persona(Wording(judge, TEXTS)).believe_pairs(answered(longer(1)))
    twice = [belief.prefer(0, TARGETS), belief.prefer(0, TARGETS)]
    again = Persona(Wording(judge, TEXTS)).believe_pairs(answered(longer(1))).prefer(0, TARGETS)
    assert len(reader.asked) == 2 * len(TARGETS)
    assert len(reader.describing) == 1
    assert torch.equal(twice[0], twice[1])
    assert torch.equal(twice[0], again)
    assert judge.log_odds(reader.asked[:2]).tolist() == [odds(prompt) for prompt in reader.asked[:2]]


@pytest.fixture(scope="module")
def everybody_likes_length(tmp_path_factory: pytest.TempPathFactory) -> World:
    path = tmp_path_factory.mktemp("mine") / "mine.csv.gz"
    comparisons(path, shared=True)
    return pairs.worlds(0, True, path, encode)[0]


def test_compared_items_keep_their_texts(everybody_likes_length: World) -> None:
    world = everybody_likes_length
    texts = texts_of(world)
    assert len(texts) == len(world.features)
    words = torch.tensor([len(response.split()) for _, response in texts])
    assert {words[row].item() for row in world.features[:, LENGTH].topk(3).indices} == {4}
    for person in world.people:
        assert all(texts[a][0] == texts[b][0] for a, b in zip(person.pool.left, person.pool.right, strict=True))


@pytest.mark.parametrize("name", METHODS_OF)
def test_a_played_judge_learns_from_answers_and_asks_as_other_random_methods(
    name: str, everybody_likes_length: World
) -> None:
    world = everybody_likes_length
    method = METHODS_OF[name](Wording(Remembering(Reader()), texts_of(world)))
    trajectory, again = play(world, method, name), play(world, method, name)
    weights = torch.zeros(world.features.shape[1], dtype=torch.float64)
    other = play(world, LinearMethod(lambda observed: weights.expand(observed.size, -1)), "linear")
    assert trajectory.asked == again.asked == other.asked
    assert all((trajectory.predictions[k] == again.predictions[k]).all() for k in trajectory.predictions)
    assert (trajectory.predictions[0] == 0.5).all()
    assert ((trajectory.predictions[3] > 0.5) == trajectory.labels).all()


def test_a_world_without_texts_says_where_a_judge_can_read(tmp_path: Path) -> None:
    ten_each(tmp_path, people=30)
    (given, *_) = pairs.worlds(0, True, tmp_path, encode)
    for world in (given, small.world()):
        with pytest.raises(InvalidInput, match=rf"^{world.name} has no texts .*leave out --judge, or run it on llmfao"):
            texts_of(world)


def test_the_methods_exist_only_where_there_is_a_judge() -> None:
    found = judged(JudgeName("folder"))
    assert set(found) == {"in-context", "persona"}
    assert not set(found) & set(METHODS)


@pytest.mark.parametrize(
    ("place", "model", "message"),
    [
        ("http://host/v1", None, "http://host/v1 is an endpoint; name the model it serves with --judge-model"),
        ("folder", "name", "--judge-model name is for an endpoint, and --judge folder is none"),
    ],
)
def test_an_endpoint_needs_a_models_name_and_a_folder_none(place: str, model: str | None, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        JudgeName(place, model)
