"""Keel as a method: heads and population by ``reward_bases.train``, questions and posteriors by ``elicitation``.

Rewards are personal ones before the guard, whose price ``keel demo`` and ``docs/guard.md`` state.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from bench.compare.world import NOBODY, World
from elicitation.acquisition import Rule, choose
from elicitation.crowd import Beliefs, Crowd, infer_many
from elicitation.norms import quadratic_form
from elicitation.posterior import Posterior, posteriors
from elicitation.predict import predict
from reward_bases.train.data.judgments import InMemory, Judgments
from reward_bases.train.model.learn import Learned, LearnSettings, learn
from reward_bases.train.validate.choose import choose_settings

SERVED = 500
"""Questions are chosen for at most so many served pairs."""
EDGE = 1e-9


@dataclass(frozen=True, eq=False)
class KeelBelief:
    """Everybody's posterior; ``targets`` (T, K) are the served pairs that questions are chosen for."""

    learned: Learned
    beliefs: Beliefs
    targets: Tensor
    rule: Rule

    @cached_property
    def posteriors(self) -> list[Posterior]:
        return posteriors(self.beliefs)

    def choose(self, person: int, pool: Tensor, allowed: Tensor, generator: torch.Generator) -> int:
        """The question that ``rule`` gives."""
        pool, posterior = pool @ self.learned.heads.T, self.posteriors[person]
        return choose(self.rule, posterior, self.learned.model, pool, allowed, self.targets, generator).index

    def prefer(self, person: int, targets: Tensor) -> Tensor:
        """P(left | not a tie) (T,) of pairs as served, without sides."""
        pairs = targets @ self.learned.heads.T
        left, _, right = predict(self.posteriors[person], self.learned.served_model, pairs).unbind(1)
        return (left / (left + right)).clamp(EDGE, 1 - EDGE)

    def personal(self, person: int, targets: Tensor) -> Tensor:
        """(λ_u − λ̄)ᵀv over its posterior standard deviation (T,)."""
        pairs, posterior = targets @ self.learned.heads.T, self.posteriors[person]
        spread = quadratic_form(pairs, posterior.covariance).clamp_min(1e-12).sqrt()
        return (pairs @ (posterior.mean - self.learned.population.mean)) / spread


@dataclass(frozen=True, eq=False)
class Keel:
    """Fitted to a world's training people."""

    learned: Learned
    targets: Tensor
    rule: Rule

    def believe(self, observed: Crowd) -> KeelBelief:
        """Everybody's posterior after the answers ``observed``."""
        crowd = Crowd(observed.differences @ self.learned.heads.T, observed.people, observed.outcomes, observed.size)
        beliefs = infer_many(self.learned.population, self.learned.model, crowd)
        return KeelBelief(self.learned, beliefs, self.targets, self.rule)


def keel(world: World, rule: Rule, shuffled: bool = False) -> Keel:
    """Settings chosen and heads learned from the training people; ``shuffled`` mixes up whose they are."""
    learned = learned_from(world, shuffled)
    generator = torch.Generator().manual_seed(world.seed)
    served = world.differences(world.served[torch.randperm(len(world.served), generator=generator)[:SERVED]])
    return Keel(learned, served @ learned.heads.T, rule)


@lru_cache(maxsize=1)
def learned_from(world: World, shuffled: bool) -> Learned:
    """Heads and population that all question rules share; kept for the world last asked for."""
    judged, fixed = judged_by(world, shuffled), given_heads(world)
    settings = choose_settings(judged, fixed, LearnSettings(seed=world.seed), new_prompts=not world.by_heart)
    return learn(judged, fixed, settings)


def judged_by(world: World, shuffled: bool) -> Judgments:
    """The training judgments; ``shuffled``, each belongs to a random person."""
    train = world.train
    order = torch.arange(len(train.people))
    if shuffled:
        order = torch.randperm(len(order), generator=torch.Generator().manual_seed(world.seed))
    pairs, outcomes = train.pairs[order], train.outcomes[order]
    return Judgments(
        InMemory(world.features), pairs.left, pairs.right, train.people, train.prompts[order], outcomes, train.size
    )


def given_heads(world: World) -> Tensor:
    """The heads (T, F) that nobody has to learn: length where a feature counts it and, for votes, approval."""
    width = world.features.shape[1]
    length = torch.eye(width, dtype=torch.float64)[[] if world.length is None else [world.length]]
    return torch.cat([length, approval(world)])


def approval(world: World) -> Tensor:
    """For votes, the fixed head (1, F) of agreeing with anything, which is 1 for every item; for pairs none (0, F)."""
    width = world.features.shape[1]
    if bool((world.train.pairs.right != NOBODY).any()):
        return torch.zeros(0, width, dtype=torch.float64)
    ones = torch.ones(len(world.features), 1, dtype=torch.float64)
    head: Tensor = torch.linalg.lstsq(world.features, ones, driver="gelsd").solution.T
    return head
