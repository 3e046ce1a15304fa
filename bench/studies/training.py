"""Settings and heads as ``keel train`` finds them, with nothing kept on disk."""

from dataclasses import replace

import torch

from reward_bases.train.fitting import Fit
from reward_bases.train.model.heads import Factors
from reward_bases.train.model.learn import LearnSettings, learn
from reward_bases.train.training_set import TrainingSet
from reward_bases.train.validate.choose import MOST_JUDGMENTS, MOST_PEOPLE, choose_settings
from reward_bases.train.validate.split import some_people


def trained(of: TrainingSet, new_prompts: bool, seed: int) -> Fit:
    """Settings chosen on the training set, and heads learned from it."""
    chosen_on = some_people(of.teach, MOST_PEOPLE, MOST_JUDGMENTS, torch.Generator().manual_seed(seed))
    start = LearnSettings(seed=seed, prior_spreads=of.prior_spreads)
    scores: dict[str, float] = {}
    settings = choose_settings(chosen_on, of.fixed, start, new_prompts, frozenset(), scores)
    return learned_at(settings, of, scores)


def learned_at(settings: LearnSettings, of: TrainingSet, scores: dict[str, float]) -> Fit:
    """Heads learned under ``settings``."""
    rounds: list[Factors] = []
    learned = learn(of.teach, of.fixed, settings, lambda factors, _: rounds.append(factors))
    return Fit(of, settings, learned, rounds[-1], scores)


def without_prior(fit: Fit) -> Fit:
    """The same settings, but for the prior, which counts for nobody."""
    return learned_at(replace(fit.settings, prior_people=0.0), fit.training_set, fit.scores)
