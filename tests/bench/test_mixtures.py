"""LoRe, PAL and VPL by their published rules."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from fitted_peers import first_answers

from bench.compare.method import Method
from bench.compare.peers.aggregate import head
from bench.compare.peers.answers import Answers
from bench.compare.peers.lore import LoreSettings, learn_bases
from bench.compare.peers.simplex import learn_mixture, mixture_weights
from bench.compare.world import World

pytestmark = pytest.mark.slow


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
