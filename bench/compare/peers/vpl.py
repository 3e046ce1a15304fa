"""VPL: Poddar et al. (2024), Personalizing RLHF with variational preference learning, arXiv 2408.10075.

Literal: an encoder reads a person's annotated pairs as a set and gives q(z | answers), a decoder the reward given z;
both are trained by the ELBO with weight β on KL(q ‖ N(0, I)); a new person's z is the mean of q, in one pass, without
any fitting. Random questions.

Ours: the encoder is a mean over pairs of one hidden layer on (left − right)·answer; the decoder's reward is linear in
the features with weights b + B·z; of a person 0 to 20 answers are observed, a new number at each step, and all are
predicted; q is the prior if nothing was observed, so that nobody's first reward is b; ties left out; Adam with weight
decay on batches of people; an L2 ridge on the decoder; β, the ridge and the number of steps are tuned, in one round, on
four folds at most.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bench.compare.peers.answers import Answers
from bench.compare.peers.fitting import noise
from bench.compare.peers.linear import LinearMethod
from bench.compare.peers.tuning import rehearse, splits, tuned
from bench.compare.world import World
from elicitation.crowd import rank_within

LATENT, HIDDEN = 8, 64
MOST_OBSERVED, BATCH, RATE, DECAY = 20, 128, 0.01, 1e-2
PARTS = 4
"""At most so many of the ten folds are rehearsed: this is the slowest peer."""


@dataclass(frozen=True)
class VplSettings:
    """β as ``kl``, ``ridge`` on the decoder, number of ``steps``."""

    kl: float = 0.3
    ridge: float = 300.0
    steps: int = 200


GRIDS = {"ridge": (0.0, 30.0, 100.0, 300.0, 1000.0), "kl": (0.03, 0.1, 0.3, 1.0), "steps": (200, 400)}


@dataclass(frozen=True, eq=False)
class Vae:
    """Encoder ``into`` (F, H), ``bias`` (H,), ``out`` (H, 2Z); decoder ``base`` (F,), ``turn`` (Z, F)."""

    into: Tensor
    bias: Tensor
    out: Tensor
    base: Tensor
    turn: Tensor

    @classmethod
    def start(cls, answers: Answers, seed: int) -> "Vae":
        f = answers.features
        scale = float(answers.differences.square().sum(1).mean().sqrt().clamp_min(1e-6))
        return cls(
            noise(f, HIDDEN, seed=seed, scale=1 / scale),
            torch.zeros(HIDDEN, dtype=torch.float64),
            noise(HIDDEN, 2 * LATENT, seed=seed + 1, scale=HIDDEN**-0.5),
            torch.zeros(f, dtype=torch.float64),
            noise(LATENT, f, seed=seed + 2, scale=0.3 / scale),
        )

    def parameters(self) -> list[Tensor]:
        """All that is learned."""
        return [self.into, self.bias, self.out, self.base, self.turn]

    def encode(self, observed: Answers) -> tuple[Tensor, Tensor]:
        """Means and log standard deviations (P, Z) of q; zeros, the prior's, for people without answers."""
        rows = (observed.differences @ self.into).index_select(0, observed.pair)
        hidden = ((2 * observed.wins - 1)[:, None] * rows + self.bias).tanh()
        counts = torch.bincount(observed.people, minlength=observed.size).clamp_min(1)
        total = torch.zeros(observed.size, HIDDEN, dtype=torch.float64).index_add(0, observed.people, hidden)
        pooled = total / counts[:, None]
        mean, log_std = (pooled @ self.out).chunk(2, dim=1)
        return mean, log_std

    def weights(self, z: Tensor) -> Tensor:
        """Weights (P, F) on the features of people at z (P, Z)."""
        return self.base + z @ self.turn

    def utilities(self, z: Tensor, asked: Answers) -> Tensor:
        """Log-odds (N,) of left for people at z (P, Z)."""
        seen = asked.differences @ torch.cat([self.base[None], self.turn]).T
        own = torch.cat([torch.ones(len(z), 1, dtype=z.dtype), z], 1)
        return asked.seen_as(seen).utilities(own)


def vpl(world: World) -> LinearMethod:
    """VPL as published, its weight of the KL, its ridge and its number of steps tuned."""
    parts = splits(world)[:PARTS]

    def value(settings: VplSettings) -> float:
        return rehearse(parts, lambda learn: partial(amortised, train(learn, settings, world.seed)))

    best = tuned(VplSettings(), GRIDS, value, rounds=1)
    return LinearMethod(partial(amortised, train(Answers.of_training(world), best, world.seed)))


def amortised(vae: Vae, observed: Answers) -> Tensor:
    """Everybody's weights (P, F) at the mean of q."""
    return vae.weights(vae.encode(observed.decided())[0])


def train(answers: Answers, settings: VplSettings, seed: int) -> Vae:
    """Lower the negative ELBO, in nats per answer."""
    decided, vae = answers.decided(), Vae.start(answers, seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in vae.parameters():
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    for _ in range(settings.steps):
        batch = decided if decided.size <= BATCH else _some(decided, generator)
        optimiser.zero_grad()
        decoder = vae.base.square().sum() + vae.turn.square().sum()
        loss = negative_elbo(vae, batch, settings.kl, generator) + settings.ridge / 2 * decoder / max(len(decided), 1)
        loss.backward()
        optimiser.step()
    for parameter in vae.parameters():
        parameter.requires_grad_(False)
    return vae


def _some(answers: Answers, generator: torch.Generator) -> Answers:
    return answers.of(torch.randperm(answers.size, generator=generator)[:BATCH]).compact()


def negative_elbo(vae: Vae, asked: Answers, kl_weight: float, generator: torch.Generator) -> Tensor:
    """Nats per answer, for a batch of people of whom a random number of answers is observed."""
    place = rank_within(asked.people, torch.rand(len(asked), generator=generator))
    most = torch.randint(MOST_OBSERVED + 1, (asked.size,), generator=generator)
    mean, log_std = vae.encode(asked.where(place < most[asked.people]))
    z = mean + log_std.exp() * torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
    kl = (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum() / 2
    return (kl_weight * kl - asked.log_likelihood(vae.utilities(z, asked)).sum()) / max(len(asked), 1)
