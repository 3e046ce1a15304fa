"""How a person chooses: Davidson's tie model with a lapse, and an ordered strength.

With utility difference z (nats; the left response's reward minus the right one's, plus the side bias) and consistency κ

    p = (1 − lapse)·softmax([κz/2, ln ν, −κz/2]) + lapse/3        in the order (left, same, right)
    P(clear | side) = sigmoid(κ·z_towards_side − clear_threshold)

so that without ties a difference of 1 nat is 1 nat of log-odds. A skip or "both poor" says nothing about λ.

Source: R. R. Davidson (1970), On extending the Bradley–Terry model to accommodate ties in paired comparison
experiments; the lapse is that of psychometric functions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from elicitation.checks import require_number
from elicitation.errors import InvalidInput


class Choice(StrEnum):
    """A person's answer to a question."""

    LEFT = "left"
    RIGHT = "right"
    SAME = "same"
    SKIP = "skip"
    BOTH_POOR = "both_poor"


class Strength(StrEnum):
    """How much better the chosen side was, where the person said so."""

    SLIGHT = "slight"
    CLEAR = "clear"


OUTCOMES = (Choice.LEFT, Choice.SAME, Choice.RIGHT)
"""The choices that move λ, in the order of the last dimension of every probability."""

EXTREME = 80.0
"""Log-odds κz beyond which nothing changes; their exponential stays within single precision."""

Consistency = float | Tensor
"""κ, one number or a shape that broadcasts with z."""

_SIGN = {Choice.LEFT: 1.0, Choice.SAME: 0.0, Choice.RIGHT: -1.0}
_STRENGTH_SIGN = {Strength.CLEAR: 1.0, Strength.SLIGHT: -1.0, None: 0.0}


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Answers that move λ, as numbers; every tensor has shape (N,).

    ``column`` indexes OUTCOMES; ``towards`` is +1 for left, 0 for same, −1 for right; ``strength`` is +1 for clear,
    −1 for slight, 0 where none was stated.
    """

    column: Tensor
    towards: Tensor
    strength: Tensor

    @cached_property
    def any_strength(self) -> bool:
        """Whether anybody stated one."""
        return bool(self.strength.any())

    @cached_property
    def ties(self) -> Tensor:
        """1 for same, 0 for a side (N,)."""
        return 1 - self.towards.abs()

    def __getitem__(self, rows: Tensor | slice) -> "Outcomes":
        return Outcomes(self.column[rows], self.towards[rows], self.strength[rows])

    @classmethod
    def of(cls, choices: Sequence[Choice], strengths: Sequence[Strength | None]) -> "Outcomes":
        """Encode choices out of OUTCOMES and their strengths; raises InvalidInput for a strength without a side."""
        for choice, strength in zip(choices, strengths, strict=True):
            require_side(choice, strength)
        return cls(
            column=torch.tensor([OUTCOMES.index(c) for c in choices], dtype=torch.long),
            towards=torch.tensor([_SIGN[c] for c in choices], dtype=torch.float64),
            strength=torch.tensor([_STRENGTH_SIGN[s] for s in strengths], dtype=torch.float64),
        )


def require_side(choice: Choice, strength: Strength | None) -> None:
    """Raise InvalidInput where a strength is stated for a choice that is neither left nor right."""
    if strength is not None and choice not in (Choice.LEFT, Choice.RIGHT):
        raise InvalidInput(f"strength {strength.value!r} with choice {choice.value!r}; it belongs to left or right")


@dataclass(frozen=True)
class ChoiceModel:
    """Population constants of how people choose.

    Every method takes z = Δr + side_bias (nats, any shape) and κ = ``consistency``; derivatives are with respect to z.
    Pairs that are served rather than shown have no sides: their z is Δr.

    Attributes:
        tie: Davidson's ν > 0; at z = 0 a tie has ν times the odds of either side.
        side_bias: pull towards the left, in nats.
        lapse: share of answers given without looking, in [0, 1).
        clear_threshold: κ·z towards the chosen side at which "clear" is as likely as "slight", in nats.
        log_consistency_std: standard deviation of log κ over people; 0 fixes κ at 1.
    """

    tie: float = 0.3
    side_bias: float = 0.0
    lapse: float = 0.05
    clear_threshold: float = 1.5
    log_consistency_std: float = 0.3

    def __post_init__(self) -> None:
        require_number("tie", self.tie, 1e-12, 1e6)
        require_number("side_bias", self.side_bias, -100.0, 100.0)
        require_number("lapse", self.lapse, 0.0, 0.99)
        require_number("clear_threshold", self.clear_threshold, -100.0, 100.0)
        require_number("log_consistency_std", self.log_consistency_std, 0.0, 10.0)

    def log_probabilities(self, z: Tensor, consistency: Consistency = 1.0) -> Tensor:
        """Log p of (left, same, right), in nats: (...) -> (..., 3)."""
        return self._mixed(self._attentive(consistency * z))

    def probabilities(self, z: Tensor, consistency: Consistency = 1.0) -> Tensor:
        """p of (left, same, right): (...) -> (..., 3)."""
        p = torch.stack(self._shares(consistency * z), dim=-1)
        return p.mul_(1 - self.lapse).add_(self.lapse / 3)

    def expected(self, z: Tensor, weights: Tensor, consistency: Consistency = 1.0) -> Tensor:
        """p of (left, same, right) for z with the probabilities ``weights`` (J,): (..., J) -> (..., 3)."""
        p = torch.stack([share @ weights for share in self._shares(consistency * z)], dim=-1)
        return p.mul_(1 - self.lapse).add_(self.lapse / 3)

    def scores(self, z: Tensor, consistency: Consistency = 1.0) -> Tensor:
        """∂ log p/∂z of (left, same, right): (...) -> (..., 3)."""
        u = consistency * z
        towards = torch.tensor([_SIGN[choice] for choice in OUTCOMES], dtype=u.dtype)
        pull = (towards - self._balance(u)[..., None]) / 2
        return consistency * self._attention(self._attentive(u)) * pull

    def information(self, z: Tensor, consistency: Consistency = 1.0) -> Tensor:
        """Expected Fisher information about z in one choice, per nat²: (...) -> (...)."""
        if self.lapse == 0:
            return consistency**2 * self._spread(consistency * z)
        # Even in z, so the side ahead may stand for the left; its weight is 1 and nothing overflows.
        behind = torch.exp(-(consistency * z).abs() / 2)
        scale = 1 / (1 + self.tie * behind + behind**2)
        mean = scale * (1 - behind**2) / 2
        keep, lapsed = 1 - self.lapse, self.lapse / 3
        total = torch.zeros_like(z)
        for weight, position in ((torch.ones_like(z), 0.5), (self.tie * behind, 0.0), (behind**2, -0.5)):
            q = weight * scale
            # (∂p/∂u)²/p, with a factor q drawn out of p so that p = 0 cannot divide.
            share = q * keep / (q * keep + lapsed).clamp_min(torch.finfo(z.dtype).tiny)
            total += keep * q * share * (position - mean) ** 2
        return consistency**2 * total

    def information_bound(self, z: Tensor, consistency: Consistency = 1.0) -> Tensor:
        """At least ``information``, for one transcendental an element: (...) -> (...).

        A lapse that announced itself would leave the attentive answers' information, at the rate at which they come.
        """
        cosh = (consistency / 2 * z).clamp(-EXTREME / 2, EXTREME / 2).cosh_()
        return (1 - self.lapse) * consistency**2 * (1 + self.tie / 2 * cosh) / (2 * cosh + self.tie).square_()

    def win_slope(self, z: Tensor, consistency: Consistency = 1.0) -> Tensor:
        """∂/∂z of the win probability p_left + p_same/2, per nat: (...) -> (...); even in z."""
        return consistency * (1 - self.lapse) * self._spread(consistency * z)

    def log_likelihood(self, z: Tensor, outcomes: Outcomes, consistency: Consistency = 1.0) -> Tensor:
        """Log-likelihood of each answer with its strength, in nats: (…, N) -> (…, N)."""
        chosen = self._mixed(self._chosen(consistency * z, outcomes))
        if not outcomes.any_strength:
            return chosen
        return chosen + outcomes.strength.abs() * logsigmoid(self._strength_logit(z, outcomes, consistency))

    def score(self, z: Tensor, outcomes: Outcomes, consistency: Consistency = 1.0) -> Tensor:
        """∂ log-likelihood/∂z of each answer with its strength: (N,) -> (N,)."""
        u = consistency * z
        chosen = (outcomes.towards - self._balance(u)) / 2
        if self.lapse > 0:
            chosen = self._attention(self._chosen(u, outcomes)) * chosen
        if not outcomes.any_strength:
            return consistency * chosen
        surprise = torch.sigmoid(-self._strength_logit(z, outcomes, consistency))
        return consistency * (chosen + outcomes.strength * outcomes.towards * surprise)

    def observed_information(self, z: Tensor, outcomes: Outcomes, consistency: Consistency = 1.0) -> Tensor:
        """−∂² log-likelihood/∂z² of each answer, per nat²: (N,) -> (N,); negative where it looks like a lapse."""
        u = consistency * z
        attention = self._attention(self._chosen(u, outcomes))
        pull = (outcomes.towards - self._balance(u)) / 2
        chosen = attention * self._spread(u) - attention * (1 - attention) * pull**2
        return consistency**2 * (chosen + self._strength_information(z, outcomes, consistency))

    def answer_information(self, z: Tensor, outcomes: Outcomes, consistency: Consistency = 1.0) -> Tensor:
        """Fisher information about z in each answer, per nat²: (N,) -> (N,).

        Expected over the choice, and over the strength given the side where one was stated.
        """
        chosen = self.information(z, consistency)
        if not outcomes.any_strength:
            return chosen
        return chosen + consistency**2 * self._strength_information(z, outcomes, consistency)

    def _attentive(self, u: Tensor) -> Tensor:
        """Davidson's log-probabilities without lapses at u = κz: (...) -> (..., 3)."""
        said = torch.stack([u / 2, torch.full_like(u, math.log(self.tie)), -u / 2], dim=-1)
        return said - self._normaliser(u)[..., None]

    def _chosen(self, u: Tensor, outcomes: Outcomes) -> Tensor:
        """Of these, that of each answer: (N,) -> (N,)."""
        return outcomes.towards * u / 2 + outcomes.ties * math.log(self.tie) - self._normaliser(u)

    def _normaliser(self, u: Tensor) -> Tensor:
        """log(e^(u/2) + ν + e^(−u/2)), with the side ahead drawn out: (...) -> (...)."""
        ahead = u.abs() / 2
        behind = torch.exp(-ahead)
        return ahead + torch.log1p(behind * (behind + self.tie))

    def _attention(self, attentive: Tensor) -> Tensor:
        """Probability that an answer was chosen, not given by lapse, from its log-probability without: same shape."""
        return (attentive + math.log1p(-self.lapse) - self._mixed(attentive)).exp()

    def _shares(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """p of left, same and right without lapses at u = κz, each (...)."""
        odds = torch.exp(u.clamp(-EXTREME, EXTREME) / -2)
        left = 1 / (1 + odds * (odds + self.tie))
        return left, self.tie * odds * left, odds.square() * left

    def _balance(self, u: Tensor) -> Tensor:
        """p_left − p_right without lapses at u = κz, odd in u: (...) -> (...)."""
        left, _, right = self._shares(u)
        return left - right

    def _spread(self, u: Tensor) -> Tensor:
        """−∂² log p/∂u² without lapses, the same for every answer: (...) -> (...)."""
        left, same, right = self._shares(u)
        return left * right + same * (left + right) / 4

    def _mixed(self, attentive: Tensor) -> Tensor:
        if self.lapse == 0:
            return attentive
        lapsed = torch.full_like(attentive, math.log(self.lapse / 3))
        return torch.logaddexp(attentive + math.log1p(-self.lapse), lapsed)

    def _strength_logit(self, z: Tensor, outcomes: Outcomes, consistency: Consistency) -> Tensor:
        return outcomes.strength * (consistency * outcomes.towards * z - self.clear_threshold)

    def _strength_information(self, z: Tensor, outcomes: Outcomes, consistency: Consistency) -> Tensor:
        fits = torch.sigmoid(self._strength_logit(z, outcomes, consistency))
        return outcomes.strength.abs() * fits * (1 - fits)
