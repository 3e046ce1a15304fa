"""The person model: answers → posterior → guarded coefficients and their scale, for many people at once.

Everybody's posterior comes from one call of the solver; the guard then settles each person's α by itself. One person is
a batch of one. The others in a batch change a posterior by rounding alone (1e-10 at most). The guard finds α up to its
``SHORTFALL`` (1e-9), so guarded coefficients agree to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from elicitation.choice import ChoiceModel
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, Posterior, infer_each
from reward_bases.artifact import Artifact
from safeguards.guard import Guarded
from safeguards.policy import GuardPolicy
from safeguards.score import Scale
from safeguards.shaping import mixed


@dataclass(frozen=True, eq=False)
class FittedPerson:
    """A person's evidence, the posterior that it gives, and the guarded coefficients with their scale."""

    evidence: Evidence
    posterior: Posterior
    guarded: Guarded
    scale: Scale

    @property
    def served(self) -> Posterior:
        """The guarded posterior of λ; κ stays the person's."""
        component = Component(1.0, self.guarded.coefficients, self.guarded.covariance)
        return Posterior((component,), self.posterior.log_consistency)


P = TypeVar("P", bound=FittedPerson)


@dataclass(frozen=True, eq=False)
class PersonModel:
    """The part of an artifact that turns answers into a reward."""

    population: Population
    choice_model: ChoiceModel
    policy: GuardPolicy

    @classmethod
    def of(cls, artifact: Artifact) -> "PersonModel":
        """The model that an artifact is served with."""
        return cls(artifact.population, artifact.choice_model, GuardPolicy.of(artifact))

    def fit(self, evidence: Sequence[Evidence]) -> list[FittedPerson]:
        """Everybody fitted, in the order of their evidence; without answers a person is the aggregate.

        Raises InvalidInput when sizes disagree and NotConverged when somebody's mode is not found.
        """
        # Always from the prior mean: a warm start agrees only to 1e-8, and an old fit must be found again.
        posteriors = infer_each(self.population, self.choice_model, evidence)
        return [self._guarded(own, posterior) for own, posterior in zip(evidence, posteriors, strict=True)]

    def mixed(self, person: P, weight: float) -> P:
        """The person with the aggregate mixed in at ``weight``, on the scale of the mixture."""
        if weight == 0:
            return person
        guarded = mixed(person.guarded, self.policy.aggregate, weight)
        return replace(person, guarded=guarded, scale=Scale.of(guarded.coefficients, self.policy.reference))

    def _guarded(self, evidence: Evidence, posterior: Posterior) -> FittedPerson:
        guarded = self.policy.guarded(posterior.mean, posterior.covariance)
        return FittedPerson(evidence, posterior, guarded, Scale.of(guarded.coefficients, self.policy.reference))
