"""The guard: limits on the distance of a person's coefficients from the aggregate.

First each head's limit (``safeguards.trust``), then the agreement band (``safeguards.band``), then the divergence
budget; another order would break the band. With λ' what limits and band make of λ_u, λ_g = λ̄ + α(λ' − λ̄) with the
largest α ∈ [0, 1] such that, over the reference set,

* divergence: max over prompts of KL(softmax r_g ‖ softmax r̄) ≤ ε nats, at temperature 1 nat over the n reference
  responses. With δ = r_u − r̄ and p_α ∝ exp(r̄ + αδ), d KL/dα = α·Var_{p_α}(δ) ≥ 0, so KL is monotone in α and is
  found by Newton's method in a bracket; KL ≤ α²·range(δ)²/8 (Popoviciu) gives the first feasible α.
* starc: d = √((1 − ρ)/2) ≤ d_max, with ρ the correlation of prompt-centred rewards (Skalse et al. 2023, STARC; EPIC).
  The angle between λ̄ + αδ and λ̄ grows with α, so the limit is closed form.
* sd, in place of starc where the aggregate is nearly flat and ρ says nothing: α·√(δᵀSδ) ≤ sd_max nats.

Protected heads stay at λ̄, but for those that the band lowers as its counterweight. What is returned is measured on the
returned coefficients, never derived from α.
Shapes: P prompts, n responses each, K heads. Rewards and coefficients are in nats, tensors float64.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from elicitation.norms import norm
from safeguards.band import Band, BandReport, capped_heads, hold_all, outside
from safeguards.trust import limited

Binding = Literal["none", "divergence", "starc", "sd", "band"]

LARGEST_COEFFICIENT = 1e9  # nats; beyond it squares of rewards lose the precision the certificate needs
SHORTFALL = 1e-9  # largest share by which α may stay under what the budget allows
CONVERGED = 1e-5  # relative step of Newton's method after which the next is below SHORTFALL


@dataclass(frozen=True)
class Budget:
    """Limits of the guard: ``divergence`` ε and ``sd_max`` in nats, ``starc`` d_max in (0, 1].

    ``flat_sd`` is the within-prompt SD of the aggregate reward, in nats, under which STARC is undefined.
    """

    divergence: float
    starc: float
    flat_sd: float = 0.05
    sd_max: float = 0.25

    def __post_init__(self) -> None:
        for name in ("divergence", "starc", "sd_max"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidInput(f"budget {name} = {getattr(self, name)} must be finite and above 0")
        if self.starc > 1:
            raise InvalidInput(f"budget starc = {self.starc} > limit 1; use 1 to switch the STARC bound off")
        if not 0 <= self.flat_sd < math.inf:
            raise InvalidInput(f"budget flat_sd = {self.flat_sd} must be finite and not negative")


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference set: ``phi`` and its prompt-centred rows (P, n, K), with both covariances (K, K).

    ``columns`` (K, n, P) are the centred rows with the prompts last, where softmax over responses is fast.
    ``covariance`` is that of φ about its mean over all responses; ``within`` that of the prompt-centred rows.
    """

    phi: Tensor
    centred: Tensor
    columns: Tensor
    covariance: Tensor
    within: Tensor

    @classmethod
    def of(cls, phi: Tensor) -> "Reference":
        """Precompute what the guard needs from φ (P, n, K); raises InvalidInput unless P ≥ 1, n ≥ 2 and all finite."""
        if phi.ndim != 3 or phi.shape[0] < 1 or phi.shape[1] < 2:
            raise InvalidInput(f"reference φ has shape {tuple(phi.shape)}; it must be (P ≥ 1, n ≥ 2, K)")
        if not bool(phi.isfinite().all()):
            raise InvalidInput("reference φ holds a value that is not finite; rebuild the reference set")
        phi = phi.to(torch.float64)
        centred = phi - phi.mean(dim=1, keepdim=True)
        about_mean = phi - phi.mean(dim=(0, 1))
        columns = centred.permute(2, 1, 0).contiguous()
        return cls(phi, centred, columns, _second_moment(about_mean), _second_moment(centred))

    @property
    def k(self) -> int:
        return self.phi.shape[-1]

    def rewards(self, *coefficients: Tensor) -> Tensor:
        """Prompt-centred rewards (m, n, P), in nats, of m coefficients (K,) each."""
        rewards: Tensor = torch.tensordot(torch.stack(coefficients), self.columns, dims=1)
        return rewards

    def within_sd(self, coefficients: Tensor) -> Tensor:
        """Within-prompt SD, in nats, of the rewards of coefficients (…, K) -> (…)."""
        return norm(coefficients, self.within)


@dataclass(frozen=True)
class Guard:
    """The certificate: α and what the guarded coefficients measure on the reference set.

    ``starc`` is None where the aggregate is flat; ``sd`` is the within-prompt SD of the personal part in nats.
    ``binding`` names what limits α, ``band`` reports on each stratum of agreement.
    """

    alpha: float
    divergence_max: float
    divergence_p95: float
    starc: float | None
    sd: float
    budget: Budget
    binding: Binding
    band: Mapping[str, BandReport]

    @property
    def starc_undefined(self) -> bool:
        return self.starc is None


@dataclass(frozen=True, eq=False)
class Guarded:
    """Guarded coefficients λ_g (K,), their covariance α²·C (K, K) and the certificate."""

    coefficients: Tensor
    covariance: Tensor
    guard: Guard


def guard(
    aggregate: Tensor,
    mean: Tensor,
    covariance: Tensor,
    reference: Reference,
    budget: Budget,
    protected: Tensor,
    bands: Sequence[Band] = (),
    limit: Tensor | None = None,
) -> Guarded:
    """Largest personal part within the bands and the budget, no head further from λ̄ than its ``limit`` (K,), if any.

    aggregate λ̄ (K,), mean λ_u (K,), covariance C (K, K), protected bool (K,). Protected rows and columns of the
    covariance become 0, as those coefficients are constants. Raises InvalidInput on shapes or values out of range.
    """
    _check(aggregate, mean, covariance, reference, protected)
    limit = torch.full_like(aggregate, torch.inf) if limit is None else limit
    trusted = limited(mean, aggregate, limit)
    allowed = torch.where(protected, aggregate, trusted)
    capped = capped_heads(bands, protected)
    allowed = torch.where(capped, torch.minimum(trusted, aggregate), allowed)
    # Where the band leads a head out of its limit, both hold for a smaller α.
    target = limited(hold_all(allowed, aggregate, bands), aggregate, limit)
    alpha, binding = _largest_alpha(aggregate, target - aggregate, reference, budget)
    step = SHORTFALL
    while True:
        coefficients = torch.lerp(aggregate, target, alpha)  # exact at α = 0 and at α = 1
        certificate = _measure(coefficients, aggregate, alpha, binding, reference, budget)
        exceeded = "band" if outside(coefficients, aggregate, bands) else _exceeded(certificate)
        if exceeded == "none":
            break
        # Rounding put the bound a last digit away from the search: step back until the measured values hold.
        alpha, binding, step = alpha * (1 - step), exceeded, min(2 * step, 0.5)
    free = (~protected).to(covariance.dtype)
    reports = {band.stratum: band.report(allowed, coefficients, aggregate) for band in bands}
    certificate = replace(certificate, band=reports)
    return Guarded(coefficients, alpha**2 * covariance * free[:, None] * free, certificate)


def divergences(coefficients: Tensor, aggregate: Tensor, reference: Reference) -> Tensor:
    """KL(softmax r ‖ softmax r̄) in nats per reference prompt, (P,)."""
    base, own = reference.rewards(aggregate, coefficients).log_softmax(dim=1)
    return _divergence(own, base)


def starc(coefficients: Tensor, aggregate: Tensor, reference: Reference) -> Tensor:
    """STARC distance √((1 − ρ)/2) of coefficients (…, K) to the aggregate (K,) -> (…).

    Computed as half the distance of the two unit vectors, which keeps its digits near 0; a reward without any
    variance is the zero vector, half a unit from all others.
    """
    units = _unit(torch.stack(torch.broadcast_tensors(coefficients, aggregate)), reference.within)
    return 0.5 * norm(units[0] - units[1], reference.within)


def _largest_alpha(aggregate: Tensor, deviation: Tensor, reference: Reference, budget: Budget) -> tuple[float, Binding]:
    both = torch.stack([aggregate, deviation])
    (aa, ad), (_, dd) = (both @ reference.within @ both.mT).tolist()
    shape: Binding = "sd" if math.sqrt(max(aa, 0)) < budget.flat_sd else "starc"
    limit = _sd_limit(dd, budget.sd_max) if shape == "sd" else _starc_limit(aa, ad, dd, budget.starc)
    alpha = _divergence_limit(aggregate, deviation, reference, budget.divergence, limit)
    if alpha < limit:
        return alpha, "divergence"
    return alpha, "none" if limit == 1 else shape


def _sd_limit(dd: float, sd_max: float) -> float:
    """α at which √(α²·dd) reaches ``sd_max``, with dd = δᵀSδ."""
    return 1.0 if dd <= sd_max**2 else sd_max / math.sqrt(dd)


def _starc_limit(aa: float, ad: float, dd: float, d_max: float) -> float:
    """α at which λ̄ + αδ, as the plane vector (a + αc, αb), reaches the angle θ with cos θ = 1 − 2·d_max².

    From λ̄ᵀSλ̄ = a², λ̄ᵀSδ = a·c and δᵀSδ = b² + c².
    """
    a = math.sqrt(aa)
    c = ad / a
    b = math.sqrt(max(dd - c**2, 0))
    cosine, sine = 1 - 2 * d_max**2, 2 * d_max * math.sqrt(1 - d_max**2)
    slope = b * cosine - c * sine
    return 1.0 if slope <= a * sine else a * sine / slope


def _divergence_limit(aggregate: Tensor, deviation: Tensor, reference: Reference, epsilon: float, high: float) -> float:
    """Largest α ≤ high with every prompt's KL ≤ ε, short of it by at most SHORTFALL; only a certificate is exact.

    Newton's steps on log KL against log α, a line of slope 2 while α is small, each to the nearest α at which any
    prompt that exceeds ε at ``high`` would reach it; a step out of the bracket halves it instead.
    """
    base, delta = reference.rewards(aggregate, deviation)
    base = base.log_softmax(dim=0)
    divergence, variance = _divergence_along(base, delta, high)
    exceeding = divergence > epsilon
    if not bool(exceeding.any()):
        return high
    base, delta, divergence, variance = (of[..., exceeding] for of in (base, delta, divergence, variance))
    spread = float((delta.amax(dim=0) - delta.amin(dim=0)).max())
    low, alpha = min(high, math.sqrt(8 * epsilon) / spread), high
    while high > low * (1 + SHORTFALL):
        slope = alpha**2 * variance / divergence
        nearest = alpha * float(((math.log(epsilon) - divergence.log()) / slope).min().exp())
        if abs(nearest - alpha) <= CONVERGED * alpha:
            return min(max(nearest * (1 - SHORTFALL), low), high)
        alpha = nearest if low < nearest < high else math.sqrt(low * high)
        divergence, variance = _divergence_along(base, delta, alpha)
        low, high = (low, alpha) if bool((divergence > epsilon).any()) else (alpha, high)
    return low


def _divergence_along(base: Tensor, delta: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """KL (P,) at λ̄ + αδ and Var(δ) (P,), which is d KL/dα over α, from log p̄ and δ (n, P)."""
    own = torch.add(base, delta, alpha=alpha).log_softmax(dim=0)
    p = own.exp()
    centred = delta - (p * delta).sum(dim=0)
    return _divergence(own, base), (p * centred.square()).sum(dim=0)


def _measure(
    coefficients: Tensor, aggregate: Tensor, alpha: float, binding: Binding, reference: Reference, budget: Budget
) -> Guard:
    divergence = divergences(coefficients, aggregate, reference)
    flat = float(reference.within_sd(aggregate)) < budget.flat_sd
    return Guard(
        alpha=alpha,
        divergence_max=float(divergence.max()),
        divergence_p95=float(divergence.kthvalue(math.ceil(0.95 * len(divergence))).values),
        starc=None if flat else float(starc(coefficients, aggregate, reference)),
        sd=float(reference.within_sd(coefficients - aggregate)),
        budget=budget,
        binding=binding,
        band={},
    )


def _exceeded(certificate: Guard) -> Binding:
    budget = certificate.budget
    if certificate.divergence_max > budget.divergence:
        return "divergence"
    if certificate.starc is None:
        return "sd" if certificate.sd > budget.sd_max else "none"
    return "starc" if certificate.starc > budget.starc else "none"


def _check(aggregate: Tensor, mean: Tensor, covariance: Tensor, reference: Reference, protected: Tensor) -> None:
    k = reference.k
    shapes = {"aggregate": aggregate, "mean": mean, "protected": protected}
    for name, value in shapes.items():
        if value.shape != (k,):
            raise InvalidInput(f"{name} has shape {tuple(value.shape)}; the reference set has {k} heads")
    if covariance.shape != (k, k):
        raise InvalidInput(f"covariance has shape {tuple(covariance.shape)}; the reference set needs ({k}, {k})")
    for name, value in {"aggregate": aggregate, "mean": mean}.items():
        if not bool((value.abs() <= LARGEST_COEFFICIENT).all()):
            largest = float(value.abs().max())
            raise InvalidInput(f"{name} reaches {largest} nats > limit {LARGEST_COEFFICIENT:g}; refit the profile")


def _divergence(own: Tensor, base: Tensor) -> Tensor:
    """KL in nats of log-probabilities (n, P) -> (P,)."""
    return (own.exp() * (own - base)).sum(dim=0).clamp_min(0)


def _second_moment(rows: Tensor) -> Tensor:
    flat = rows.reshape(-1, rows.shape[-1])
    return flat.mT @ flat / flat.shape[0]


def _unit(vectors: Tensor, covariance: Tensor) -> Tensor:
    length = norm(vectors, covariance).unsqueeze(-1)
    return torch.where(length > 0, vectors / length.clamp_min(torch.finfo(vectors.dtype).tiny), 0.0)
