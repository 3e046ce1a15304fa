"""``python -m bench.studies.anchors``: number of anchor ratings needed to estimate the noise of a person's judgments.

People are drawn from the shipped population. Each chooses between ANSWERS random pairs of the question bank's answers,
then rates random ones of these, with anchors at the thirds of their own rewards and a known noise.
"""

import math

import torch

from elicitation.anchors import LEVELS, anchors
from elicitation.choice import OUTCOMES
from elicitation.laplace import covariance_root
from elicitation.posterior import Evidence, Posterior, infer
from reward_bases.artifact import Artifact, load_artifact

ANSWERS, PEOPLE = 10, 24
RATINGS, NOISES = (10, 20, 40, 80), (0.5, 1.3, 2.5)


def main() -> None:
    artifact = load_artifact()
    phi = torch.stack([artifact.bank_phi[answer.id] for prompt in artifact.bank.prompts for answer in prompt.answers])
    print("| ratings | noise, nats | known | error of ln noise, rms | of its stated std |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in RATINGS:
        for noise in NOISES:
            generator = torch.Generator().manual_seed(count)
            rows = [_person(artifact, phi, count, noise, generator) for _ in range(PEOPLE)]
            known, error, scaled = torch.tensor(rows, dtype=torch.float64).unbind(1)
            root = [float(part.square().mean().sqrt()) for part in (error, scaled)]
            print(f"| {count} | {noise} | {float(known.mean()):.0%} | {root[0]:.2f} | {root[1]:.2f} |", flush=True)


def _person(
    artifact: Artifact, phi: torch.Tensor, count: int, noise: float, generator: torch.Generator
) -> tuple[float, float, float]:
    """Whether the noise is known, how far its logarithm is off, and that in stated standard deviations."""
    own, posterior = _taught(artifact, phi, generator)
    rated = phi[torch.randint(len(phi), (count,), generator=generator)]
    felt = rated @ own + noise * torch.randn(count, generator=generator, dtype=torch.float64)
    thirds = (phi @ own).quantile(torch.tensor([1 / 3, 2 / 3], dtype=torch.float64))
    found = anchors(posterior, rated, [LEVELS[int((value > thirds).sum())] for value in felt])
    error = math.log(found.noise / noise)
    return float(found.known), error, error / found.log_noise_std


def _taught(artifact: Artifact, phi: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, Posterior]:
    """Somebody's coefficients (K,) and what their answers say of them."""
    root = covariance_root(artifact.population.covariance)
    own = artifact.population.mean + root @ torch.randn(root.shape[1], generator=generator, dtype=torch.float64)
    left, right = phi[torch.randint(len(phi), (2, ANSWERS), generator=generator)]
    chances = artifact.choice_model.probabilities((left - right) @ own)
    chosen = torch.multinomial(chances, 1, generator=generator)[:, 0].tolist()
    evidence = Evidence(left - right, tuple(OUTCOMES[column] for column in chosen), (None,) * ANSWERS)
    return own, infer(artifact.population, artifact.choice_model, evidence)


if __name__ == "__main__":
    main()
