"""Answers as the peers read them: who preferred which side of which pair, each different pair kept once."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bench.compare.world import Pairs, World
from elicitation.crowd import Crowd


@dataclass(frozen=True, eq=False)
class Answers:
    """N answers of P people to Q pairs.

    ``differences`` (Q, F) left minus right, ``pair`` (N,) rows of it, ``people`` (N,) in 0…P−1, ``wins`` (N,) 1 where
    left was preferred, 0 where right was, ½ for a tie, ``size`` P.
    """

    differences: Tensor
    pair: Tensor
    people: Tensor
    wins: Tensor
    size: int

    @classmethod
    def of_training(cls, world: World) -> "Answers":
        """Everybody's training judgments; a pair shown both ways round is one pair."""
        pairs, column = world.train.pairs, world.train.outcomes.column
        swapped = pairs.left < pairs.right
        first, second = torch.maximum(pairs.left, pairs.right), torch.minimum(pairs.left, pairs.right)
        different, pair = torch.unique(torch.stack([first, second], 1), dim=0, return_inverse=True)
        differences = world.differences(Pairs(*different.unbind(1)))
        wins = 1 - column.double() / 2
        return cls(differences, pair, world.train.people, torch.where(swapped, 1 - wins, wins), world.train.size)

    @classmethod
    def of_crowd(cls, crowd: Crowd) -> "Answers":
        """Held-out people's answers."""
        wins = 1 - crowd.outcomes.column.double() / 2
        return cls(crowd.differences, torch.arange(len(wins)), crowd.people, wins, crowd.size)

    def __len__(self) -> int:
        return len(self.pair)

    @property
    def features(self) -> int:
        """Number of features F."""
        return self.differences.shape[1]

    def where(self, rows: Tensor) -> "Answers":
        """The answers selected by ``rows`` (bool (N,) or indices), of the same people."""
        return Answers(self.differences, self.pair[rows], self.people[rows], self.wins[rows], self.size)

    def decided(self) -> "Answers":
        """Without the ties."""
        return self.where(self.wins != 0.5)

    def of(self, people: Tensor) -> "Answers":
        """The answers of these people (R,) alone, who become 0…R−1."""
        number = torch.full((self.size,), -1)
        number[people] = torch.arange(len(people))
        kept = number[self.people] >= 0
        return Answers(self.differences, self.pair[kept], number[self.people[kept]], self.wins[kept], len(people))

    def repeated(self, times: int) -> "Answers":
        """Everybody's answers ``times`` over, each time as somebody else's: of ``times``·P people."""
        people = torch.cat([self.people + copy * self.size for copy in range(times)])
        return Answers(self.differences, self.pair.repeat(times), people, self.wins.repeat(times), times * self.size)

    def compact(self) -> "Answers":
        """Without the pairs that nobody answered."""
        pairs, pair = torch.unique(self.pair, return_inverse=True)
        return Answers(self.differences[pairs], pair, self.people, self.wins, self.size)

    def seen_through(self, heads: Tensor) -> "Answers":
        """The same answers with the differences (Q, K) of ``heads`` (K, F)."""
        return self.seen_as(self.differences @ heads.T)

    def seen_as(self, differences: Tensor) -> "Answers":
        """The same answers to pairs that have these ``differences`` (Q, K)."""
        return Answers(differences, self.pair, self.people, self.wins, self.size)

    def utilities(self, weights: Tensor) -> Tensor:
        """Log-odds (N,) of left under everybody's ``weights`` (P, F)."""
        own, rows = weights.index_select(0, self.people), self.differences.index_select(0, self.pair)
        return (rows * own).sum(1)

    def log_likelihood(self, utilities: Tensor) -> Tensor:
        """Nats (N,) of the answers at log-odds ``utilities`` (N,); a tie counts half for each side."""
        return self.wins * logsigmoid(utilities) + (1 - self.wins) * logsigmoid(-utilities)
