"""The peers' published rules on tiny worlds with known tastes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from torch import Tensor

from bench.compare.method import Belief, Method
from bench.compare.methods import METHODS, PEERS, TOGETHER
from bench.compare.peers.aggregate import everybody, head, length
from bench.compare.peers.answers import Answers
from bench.compare.peers.fitting import logistic
from bench.compare.peers.gp import (
    GpBelief,
    bald,
    eubo,
    fitted,
    linear_kernel,
    rbf_kernel,
    scaled_heads,
)
from bench.compare.peers.lore import LoreSettings, learn_bases
from bench.compare.peers.pref import PrefBelief, PrefMethod, factorise, table, uncertainty
from bench.compare.peers.simplex import learn_mixture, mixture_weights
from bench.compare.peers.tuning import ANSWER_DRAWS, ANSWERS, Split, rehearse, split, splits, tuned
from bench.compare.world import NOBODY, Pairs, World
from elicitation.choice import Outcomes
from elicitation.crowd import Crowd
from reward_bases.train.validate.folds import FOLDS, NEW_PROMPTS

pytestmark = pytest.mark.slow

PREFS = ("pref", "pref-published", "pref-tuned")
PERSONAL = ("ridge", *PREFS, "lore", "rfm", "pal", "vpl", "gp-linear-eubo", "gp-rbf-bald")
UNDECIDED_AT_FIRST = ("length", "ridge", *PREFS, "rfm", "gp-linear-eubo", "gp-rbf-bald")
LIKE_THE_AGGREGATE = ("lore", "pal", "vpl")
GP_PEOPLE = 5


@pytest.fixture(scope="module")
def diverse(taste_world: Callable[..., World]) -> World:
    """Everybody has a taste of their own."""
    return taste_world()


@pytest.fixture(scope="module")
def alike(taste_world: Callable[..., World]) -> World:
    """Tastes differ little."""
    return taste_world(shared=2.0, own=0.7)


@pytest.fixture(scope="module")
def fitted_to(diverse: World, alike: World) -> Callable[[str, World], Method]:
    """Every method fitted at most once per world."""
    kept: dict[tuple[str, World], Method] = {}

    def fit(name: str, world: World) -> Method:
        if (name, world) not in kept:
            kept[name, world] = fit_on_four_splits(name, world)
        return kept[name, world]

    return fit


def fit_on_four_splits(name: str, world: World) -> Method:
    """As the recipe does, its settings tuned on four splits of sixty training people, enough for these worlds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reward_bases.train.validate.folds.ENOUGH", 24)
        return PEERS[name](world)


def first_answers(world: World, asked: int) -> Crowd:
    """Everybody's answers to the first ``asked`` questions of their pools."""
    rows = torch.arange(asked)
    differences = torch.cat([world.differences(person.pool[rows]) for person in world.people])
    columns = torch.cat([person.outcomes.column[rows] for person in world.people])
    people = torch.arange(len(world.people)).repeat_interleave(asked)
    return Crowd(differences, people, outcomes(columns), len(world.people))


def outcomes(column: Tensor) -> Outcomes:
    return Outcomes(column, 1.0 - column.double(), torch.zeros(len(column), dtype=torch.float64))


def accuracy(world: World, belief: Belief) -> float:
    hits = [
        ((belief.prefer(number, world.differences(person.targets)) > 0.5) == person.labels).double().mean()
        for number, person in enumerate(world.people)
    ]
    return float(torch.stack(hits).mean())


def few(world: World, name: str) -> World:
    """A Gaussian process is refitted per person: a few of them will do."""
    return replace(world, people=world.people[:GP_PEOPLE]) if name.startswith("gp") else world


@pytest.mark.parametrize("name", PERSONAL)
def test_twenty_answers_beat_chance_where_tastes_differ(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    world = few(diverse, name)
    assert accuracy(world, fitted_to(name, diverse).believe(first_answers(world, 20))) > 0.62


@pytest.mark.parametrize("name", PERSONAL)
def test_twenty_answers_say_more_than_one(name: str, diverse: World, fitted_to: Callable[[str, World], Method]) -> None:
    world, method = few(diverse, name), fitted_to(name, diverse)
    many, one = (accuracy(world, method.believe(first_answers(world, asked))) for asked in (20, 1))
    assert many > one + 0.02


def test_the_aggregate_beats_chance_only_where_people_agree(
    diverse: World, alike: World, fitted_to: Callable[[str, World], Method]
) -> None:
    assert accuracy(alike, fitted_to("aggregate", alike).believe(first_answers(alike, 0))) > 0.75
    assert abs(accuracy(diverse, fitted_to("aggregate", diverse).believe(first_answers(diverse, 20))) - 0.5) < 0.1


@pytest.mark.parametrize("name", UNDECIDED_AT_FIRST)
def test_without_answers_every_probability_is_a_half(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    world = replace(diverse, length=None) if name == "length" else diverse
    belief = (length(world) if name == "length" else fitted_to(name, world)).believe(first_answers(world, 0))
    p = belief.prefer(0, world.differences(world.people[0].targets))
    torch.testing.assert_close(p, torch.full_like(p, 0.5))


@pytest.mark.parametrize("name", LIKE_THE_AGGREGATE)
def test_without_answers_the_others_say_about_what_the_aggregate_says(
    name: str, alike: World, fitted_to: Callable[[str, World], Method]
) -> None:
    targets = alike.differences(alike.served)
    first = fitted_to(name, alike).believe(first_answers(alike, 0)).prefer(0, targets)
    everybody = fitted_to("aggregate", alike).believe(first_answers(alike, 0)).prefer(0, targets)
    assert float((first - everybody).abs().mean()) < 0.1


@pytest.mark.parametrize("name", PEERS)
def test_probabilities_stay_inside_zero_and_one_however_clear_the_pair(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    world = few(diverse, name)
    belief = fitted_to(name, diverse).believe(first_answers(world, 10))
    p = belief.prefer(0, 1e3 * world.differences(world.people[0].targets))
    assert bool(((p > 0) & (p < 1)).all())


@pytest.mark.parametrize("name", PEERS)
def test_turning_a_pair_round_turns_its_probability_round(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    world = few(diverse, name)
    belief = fitted_to(name, diverse).believe(first_answers(world, 10))
    targets = world.differences(world.people[0].targets)
    torch.testing.assert_close(belief.prefer(0, targets), 1 - belief.prefer(0, -targets), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", PEERS)
def test_a_question_is_one_of_those_allowed(
    name: str, diverse: World, generator: torch.Generator, fitted_to: Callable[[str, World], Method]
) -> None:
    world = few(diverse, name)
    pool = world.differences(world.people[0].pool)
    allowed = torch.zeros(len(pool), dtype=torch.bool)
    allowed[[3, 17, 30]] = True
    for answers in (0, 4):
        belief = fitted_to(name, diverse).believe(first_answers(world, answers))
        assert {belief.choose(0, pool, allowed, generator) for _ in range(10)} <= {3, 17, 30}


@pytest.mark.parametrize("name", ["aggregate", "pref", "rfm", "pal", "lore", "vpl"])
def test_a_recipe_gives_the_same_twice_and_never_looks_at_held_out_people(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    blind = replace(diverse, people=())
    again, first = fit_on_four_splits(name, blind), fitted_to(name, diverse)
    answers, targets = first_answers(diverse, 6), diverse.differences(diverse.served)
    torch.testing.assert_close(
        again.believe(answers).prefer(1, targets), first.believe(answers).prefer(1, targets), rtol=0, atol=0
    )


def test_length_knows_the_sign_of_its_column_alone(taste_world: Callable[..., World]) -> None:
    world = taste_world(shared=2.0, own=0.1)
    weights = length(world).believe(first_answers(world, 5)).weights
    slope = head(Answers.of_training(world), 1.0)[0]
    assert bool((weights[:, 1:] == 0).all())
    assert bool((weights[:, 0].sign() == slope.sign()).all())


def test_a_pair_shown_both_ways_round_is_one_pair(diverse: World) -> None:
    pairs = Pairs(torch.tensor([3, 7, 5]), torch.tensor([7, 3, NOBODY]))
    train = replace(
        diverse.train, pairs=pairs, people=torch.tensor([0, 1, 1]), outcomes=outcomes(torch.tensor([0, 0, 1])), size=2
    )
    answers = Answers.of_training(replace(diverse, train=train))
    assert len(answers.differences) == 2
    assert answers.pair[0] == answers.pair[1]
    assert answers.wins.tolist() in ([0, 1, 0.5], [1, 0, 0.5])
    shown = diverse.features[7] - diverse.features[3]
    torch.testing.assert_close(answers.differences[answers.pair[0]], shown)
    torch.testing.assert_close(answers.differences[answers.pair[2]], diverse.features[5])


def a_tenth(answers: Answers) -> Tensor:
    return torch.arange(answers.size) % FOLDS == 0


def split_of(answers: Answers, withheld: Tensor | None = None) -> Split:
    return split(answers, a_tenth(answers), withheld, torch.Generator().manual_seed(0))


def test_left_out_people_are_not_among_those_learned_from(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    # Everybody's own number in place of their answers shows who ended up where.
    parts = split_of(replace(answers, wins=answers.people.double() + 1))
    learned, observed, held_out = (set(part.wins.tolist()) for part in (parts.learn, parts.observed, parts.held_out))
    assert observed == held_out
    assert not learned & observed
    assert len(learned) == (FOLDS - 1) * len(observed)


def test_ten_answers_of_left_out_people_are_observed_and_their_other_decided_ones_predicted(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    parts = split_of(answers)
    assert set(torch.bincount(parts.observed.people).tolist()) == {ANSWERS}
    assert parts.observed.size == ANSWER_DRAWS * int(a_tenth(answers).sum())
    assert bool((parts.held_out.wins != 0.5).all())
    read = sum(len(part.decided()) for part in (parts.observed, parts.held_out))
    assert len(parts.learn.decided()) + read / ANSWER_DRAWS == len(answers.decided())


def test_withheld_answers_alone_are_predicted_and_neither_learned_from_nor_observed(
    diverse: World,
) -> None:
    answers = Answers.of_training(diverse)
    withheld = torch.arange(len(answers)) % 3 == 0
    # Every answer carries whether it is withheld.
    parts = split_of(replace(answers, wins=withheld.double()), withheld)
    assert set(parts.held_out.wins.tolist()) == {1.0}
    assert set(parts.learn.wins.tolist()) | set(parts.observed.wins.tolist()) == {0.0}


def test_prompts_are_withheld_unless_items_are_known_by_heart(diverse: World) -> None:
    items = len(diverse.features)
    by_heart = replace(diverse, features=torch.eye(items, dtype=torch.float64))
    judgments = len(Answers.of_training(diverse))
    learned = {world.by_heart: len(splits(world)[0].learn) / judgments for world in (diverse, by_heart)}
    most = 1 - 1 / FOLDS
    assert learned[True] == pytest.approx(most)
    assert learned[False] == pytest.approx(most * (1 - NEW_PROMPTS), abs=0.02)


def test_in_a_small_world_everybody_is_left_out_once(diverse: World) -> None:
    parts = splits(diverse)
    assert len(parts) == FOLDS
    assert sum(part.observed.size for part in parts) == ANSWER_DRAWS * diverse.train.size


def test_every_held_out_answer_counts_the_same_whichever_part_it_is_from(diverse: World) -> None:
    small, large = (split_of(Answers.of_training(diverse).of(torch.arange(people))) for people in (10, 60))
    weights = torch.linspace(-1, 1, 8, dtype=torch.float64)
    apart = [rehearse([part], lambda _: everybody(weights).read) for part in (small, large)]
    numbers = [len(part.held_out) for part in (small, large)]
    together = rehearse([small, large], lambda _: everybody(weights).read)
    assert numbers[0] < numbers[1] / 4
    assert apart[0] != pytest.approx(apart[1], abs=1e-3)
    assert together == pytest.approx(sum(v * n for v, n in zip(apart, numbers, strict=True)) / sum(numbers))


def test_a_part_in_which_nothing_is_decided_changes_no_choice(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    part, undecided = split_of(answers), split_of(replace(answers, wins=torch.full_like(answers.wins, 0.5)))
    read = everybody(torch.ones(8, dtype=torch.float64)).read
    assert len(undecided.held_out) == 0
    assert rehearse([part, undecided], lambda _: read) == rehearse([part], lambda _: read)


def test_prompts_of_which_there_is_but_one_are_not_withheld(diverse: World) -> None:
    train = replace(diverse.train, prompts=torch.zeros_like(diverse.train.prompts))
    assert all(len(part.held_out) > 0 for part in splits(replace(diverse, train=train)))


def test_tuning_varies_one_setting_after_the_other_as_many_rounds_as_asked_for() -> None:
    start, grids = LoreSettings(pull=0.0, ridge=0.0), {"pull": (0.0, 1.0, 2.0), "ridge": (0.0, 1.0, 2.0)}

    def value(settings: LoreSettings) -> float:
        return -2 * (settings.ridge - 2) ** 2 - (settings.pull - settings.ridge) ** 2

    assert tuned(start, grids, value, rounds=1) == LoreSettings(pull=0.0, ridge=1.0)
    assert tuned(start, grids, value, rounds=2) == LoreSettings(pull=1.0, ridge=2.0)


def test_logistic_finds_the_maximum_with_ties_as_half_wins(diverse: World) -> None:
    answers, ridge = Answers.of_crowd(first_answers(diverse, 12)), 0.3
    weights = logistic(answers, ridge).requires_grad_(True)
    value = answers.log_likelihood(answers.utilities(weights)).sum() - ridge / 2 * weights.square().sum()
    value.backward()
    assert bool((answers.wins == 0.5).any())
    assert weights.grad is not None
    assert float(weights.grad.abs().max()) < 1e-6


def test_prefs_first_question_is_random(
    diverse: World, generator: torch.Generator, fitted_to: Callable[[str, World], Method]
) -> None:
    belief = fitted_to("pref", diverse).believe(first_answers(diverse, 0))
    pool = diverse.differences(diverse.people[0].pool)
    allowed = torch.ones(len(pool), dtype=torch.bool)
    assert len({belief.choose(0, pool, allowed, generator) for _ in range(30)}) > 5


def test_prefs_next_question_is_the_published_formulas_maximum(
    diverse: World, generator: torch.Generator, fitted_to: Callable[[str, World], Method]
) -> None:
    belief = fitted_to("pref", diverse).believe(first_answers(diverse, 7))
    assert isinstance(belief, PrefBelief)
    person, pool = 2, diverse.differences(diverse.people[2].pool)
    weights = belief.coefficients[person]
    asked = [belief.heads @ row for row in diverse.differences(diverse.people[person].pool[torch.arange(7)])]

    def slope(v: Tensor) -> float:
        p = float(torch.sigmoid(weights @ v))
        return p * (1 - p)

    sigma = 0.001 * torch.eye(len(weights), dtype=torch.float64)
    for v in asked:
        sigma = sigma + slope(v) * torch.outer(v, v)
    inverse = torch.linalg.inv(sigma)
    expected = torch.stack([slope(v) ** 2 * (v @ inverse @ v) for v in pool @ belief.heads.T])
    torch.testing.assert_close(uncertainty(weights, torch.stack(asked), pool @ belief.heads.T), expected)
    allowed = torch.ones(len(pool), dtype=torch.bool)
    allowed[:7] = False
    assert belief.choose(person, pool, allowed, generator) == 7 + int(expected[7:].argmax())


def test_prefs_start_completes_the_centred_matrix(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    matrix, seen = table(answers, torch.arange(answers.size), torch.arange(len(answers.differences)))
    place = (answers.people[0], answers.pair[0])
    same = (answers.people == place[0]) & (answers.pair == place[1])
    assert float(matrix[place]) == pytest.approx(float(answers.wins[same].mean()) - 0.5)
    assert bool((matrix[~seen] == 0).all())
    people, features = factorise(answers, 0)
    guess = Answers.utilities(replace(answers, differences=answers.differences @ features), people)
    assert float(((guess > 0) == (answers.wins > 0.5))[answers.wins != 0.5].double().mean()) > 0.6


def test_prefs_heads_span_what_tastes_vary_in(diverse: World, taste_directions: Tensor) -> None:
    method = fit_on_four_splits("pref", diverse)
    assert isinstance(method, PrefMethod)
    heads = method.heads
    assert float((heads @ taste_directions.T).square().sum() / heads.square().sum()) > 0.8


def test_learned_heads_are_shared_and_kept_for_the_last_world(diverse: World) -> None:
    assert fit_on_four_splits("pref-tuned", diverse) is fit_on_four_splits("pref-tuned", diverse)
    without, with_prior = (fit_on_four_splits(name, diverse) for name in ("pref", "pref-tuned"))
    assert isinstance(without, PrefMethod)
    assert isinstance(with_prior, PrefMethod)
    assert torch.equal(without.heads, with_prior.heads)
    assert without.own < with_prior.own


def test_mixture_weights_lie_on_the_simplex_and_start_uniform(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    heads = learn_mixture(answers, 3, ridge=3.0, seed=0, iterations=60)
    after = mixture_weights(Answers.of_crowd(first_answers(diverse, 8)), heads)
    assert bool((after >= 0).all())
    torch.testing.assert_close(after.sum(1), torch.ones(len(after), dtype=torch.float64))
    before = mixture_weights(Answers.of_crowd(first_answers(diverse, 0)), heads)
    torch.testing.assert_close(before, torch.full_like(before, 1 / 3))


def test_lores_pull_brings_its_bases_towards_the_reference(alike: World) -> None:
    answers = Answers.of_training(alike)
    reference = -head(answers, 30.0)
    closeness = []
    for pull in (0.0, 0.3, 3.0):
        bases = learn_bases(answers, reference, LoreSettings(3, pull, 0.0), seed=0)
        closeness.append(float(torch.nn.functional.cosine_similarity(bases, reference, dim=1).mean()))
    assert all(after > before for before, after in pairwise(closeness))


def test_vpls_reward_without_answers_is_the_same_for_everybody(
    diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    belief = fitted_to("vpl", diverse).believe(first_answers(diverse, 0))
    targets = diverse.differences(diverse.served)
    torch.testing.assert_close(belief.prefer(0, targets), belief.prefer(5, targets))


@pytest.fixture(scope="module")
def points(diverse: World) -> tuple[Tensor, Tensor]:
    """Twelve points of eight answers, and which beats which."""
    generator = torch.Generator().manual_seed(3)
    return (
        torch.rand(12, 3, generator=generator, dtype=torch.float64) - 0.5,
        torch.tensor([[0, 1], [2, 3], [4, 5], [7, 6], [8, 9], [11, 10]]),
    )


def test_a_linear_kernel_sees_nothing_but_the_difference(points: tuple[Tensor, Tensor]) -> None:
    model = fitted(*points, linear_kernel)
    pairs = torch.stack([points[0][:4], points[0][4:8]], 1)
    with torch.no_grad():
        torch.testing.assert_close(bald(model, pairs), bald(model, pairs + 0.2), rtol=0, atol=1e-4)


def test_eubo_and_bald_agree_with_draws_of_the_utilities(points: tuple[Tensor, Tensor]) -> None:
    model = fitted(*points, rbf_kernel)
    pairs = torch.stack([points[0][:4], points[0][4:8]], 1)
    with torch.no_grad():
        torch.manual_seed(0)
        utilities = model.posterior(pairs)
        assert isinstance(utilities, GPyTorchPosterior)
        draws = utilities.distribution.sample(torch.Size([200_000]))
        best = draws.amax(-1).mean(0)
        p = torch.special.ndtr((draws[..., 0] - draws[..., 1]) / 2**0.5)
        surprise = _entropy(p.mean(0)) - _entropy(p).mean(0)
        torch.testing.assert_close(eubo(model, pairs), best, rtol=0, atol=0.02)
        torch.testing.assert_close(bald(model, pairs), surprise, rtol=0, atol=2e-3)


def test_a_gaussian_process_waits_for_a_decided_answer(
    diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    two_ties = Crowd(
        torch.ones(2, 8, dtype=torch.float64), torch.tensor([0, 0]), outcomes(torch.tensor([1, 1])), GP_PEOPLE
    )
    belief = fitted_to("gp-linear-eubo", diverse).believe(two_ties)
    assert isinstance(belief, GpBelief)
    assert belief.models == (None,) * GP_PEOPLE


def test_a_tie_leaves_a_gaussian_process_as_it_was(diverse: World, fitted_to: Callable[[str, World], Method]) -> None:
    method = fitted_to("gp-linear-eubo", diverse)
    pairs = torch.eye(2, 8, dtype=torch.float64)
    once, twice, decided = (
        Crowd(pairs[: len(said)], torch.zeros(len(said), dtype=torch.long), outcomes(torch.tensor(said)), GP_PEOPLE)
        for said in ([0], [0, 1], [0, 2])
    )
    (first, *_), (tied, *_), (moved, *_) = (method.believe(observed).models for observed in (once, twice, decided))
    assert first is not None
    assert tied is first
    assert moved is not first


def test_a_gaussian_process_waits_for_a_pair_that_its_heads_tell_apart(
    diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    nothing = Crowd(torch.zeros(1, 8, dtype=torch.float64), torch.tensor([0]), outcomes(torch.tensor([0])), GP_PEOPLE)
    belief = fitted_to("gp-linear-eubo", diverse).believe(nothing)
    assert isinstance(belief, GpBelief)
    assert belief.models == (None,) * GP_PEOPLE


def test_items_of_the_gaussian_processes_lie_in_the_unit_cube(diverse: World) -> None:
    seen = Answers.of_training(diverse).differences @ scaled_heads(diverse).T
    torch.testing.assert_close(seen.abs().amax(0), torch.ones(seen.shape[1], dtype=torch.float64))


def test_every_method_belongs_to_one_task() -> None:
    assert sorted(name for group in TOGETHER for name in group) == sorted(METHODS)


def _entropy(p: Tensor) -> Tensor:
    total: Tensor = torch.special.entr(p) + torch.special.entr(1 - p)
    return total
