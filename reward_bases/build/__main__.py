"""``python -m reward_bases.build --data DIR [--cache DIR]``: learn the default artifact and write its card."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from reward_bases.artifact import DEFAULT, save_artifact
from reward_bases.bank import load_bank
from reward_bases.build import people, traits
from reward_bases.build.card import external_checks, write_card
from reward_bases.build.corpus import Vectors
from reward_bases.build.heads import AGREEMENT, HEADS, PEOPLE, TRAITS
from reward_bases.build.pairs import Pairs, spread_of, within_prompts
from reward_bases.build.reference import sample_reference
from reward_bases.encoder import load_encoder
from reward_bases.features import feature_names

COMPONENTS = 32
LENGTH_AND_LAYOUT = (
    "log_words",
    "longest_sentence",
    "list_items",
    "list_share",
    "numbered_items",
    "headings",
    "bold",
    "code",
    "paragraphs",
    "new_word_share",
    "log_length_ratio",
)
CONTRAST_STD = 1.5
"""Default prior: on a pair that differs by design in one trait, people's preferences have this spread, in nats.

One standard deviation then means choosing one's side four times in five (sigmoid(1.5) = 0.82).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with ukpconvarg1/ and pandalm/")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="where sampled texts and vectors are kept")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    build(arguments.data, arguments.cache)


def build(data: Path, cache: Path) -> None:
    """Learn heads, constants, population and choice model in that order; each step sees only what came before."""
    prompts = (DEFAULT / "reference_prompts.txt").read_text(encoding="utf-8").splitlines()
    responses = sample_reference(prompts, cache)
    encoder = load_encoder()
    vectors = Vectors(encoder, cache)
    bank = load_bank(DEFAULT / "bank.json")
    asked = [prompt.conversation.last_user for prompt in bank.prompts for _ in prompt.answers]
    answers = [answer for prompt in bank.prompts for answer in prompt.answers]

    said = vectors.of([answer.text for answer in answers])
    rows = traits.BankTable.of(bank, torch.zeros(len(answers), 0))
    heads_part = rows.rows("heads")
    components = traits.principal_axes(said[heads_part], rows.prompts[heads_part], COMPONENTS)
    table = traits.BankTable.of(bank, vectors.features(asked, [answer.text for answer in answers], components))
    ukp = people.load_ukp(data / "ukpconvarg1", vectors, components)
    pandalm = people.load_pandalm(data / "pandalm", vectors, components)

    weights = learn_heads(table, ukp, pandalm)
    flat = [(prompt, response) for prompt, row in zip(prompts, responses, strict=True) for response in row]
    raw = vectors.features([p for p, _ in flat], [r for _, r in flat], components) @ weights.T
    mean = raw.mean(0)
    spread = spread_of(raw, torch.arange(len(prompts)).repeat_interleave(len(responses[0])))
    bank_phi = (table.features @ weights.T - mean) / spread

    to_phi = weights.T / spread
    population, choice_model, spoken = learn_population(table, bank_phi, to_phi, ukp, pandalm)
    tensors = {
        "components": components,
        "weights": weights,
        "mean": mean,
        "spread": spread,
        "reference": ((raw - mean) / spread).reshape(len(prompts), -1, len(HEADS)),
        "bank_phi": bank_phi,
        **population,
    }
    card = write_card(encoder, bank, table, weights, spread, spoken, responses, choice_model)
    controls = quality_controls(table, weights[: len(TRAITS)])
    card["metrics"]["external"] = external_checks(
        vectors, data / "pandalm", components, weights, ukp, pandalm, controls
    )
    save_artifact(DEFAULT, tensors, HEADS, card)


def learn_heads(table: traits.BankTable, ukp: people.Judgments, pandalm: people.Judgments) -> Tensor:
    """W (K, F) in the order of HEADS."""
    names = feature_names(COMPONENTS)
    agreement = torch.zeros(len(names), dtype=torch.float64)
    for name in AGREEMENT:
        agreement[names.index(name)] = 1.0
    designed = torch.stack([traits.learn_trait(table, trait) for trait in TRAITS])
    controls = quality_controls(table, designed)
    quality = people.quality_direction(people.pooled(ukp, pandalm), *controls)
    return torch.cat([designed, people.taste_directions(ukp), agreement[None], quality[None]])


def quality_controls(table: traits.BankTable, designed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What quality must not ride on: styles (S, F), the bank's differences (M, F), and the allowed features (F,)."""
    names = feature_names(COMPONENTS)
    length = torch.zeros(1, len(names), dtype=torch.float64)
    length[0, names.index("log_words")] = 1.0
    allowed = torch.tensor([name not in LENGTH_AND_LAYOUT and not name.endswith("_max") for name in names])
    return torch.cat([length, designed]), table.pairs("heads", TRAITS[0]).differences, allowed


def learn_population(
    table: traits.BankTable, bank_phi: Tensor, to_phi: Tensor, ukp: people.Judgments, pandalm: people.Judgments
) -> tuple[dict[str, Tensor], ChoiceModel, dict[str, Any]]:
    """λ̄ from both judgment sets, Σ from UKPConvArg1 for its own heads and from the default contrast elsewhere."""
    names = [head.name for head in HEADS]
    slopes = {trait: _levels_per_spread(table, bank_phi[:, names.index(trait)], trait) for trait in TRAITS}
    std = torch.ones(len(HEADS), dtype=torch.float64)
    for trait, slope in slopes.items():
        std[names.index(trait)] = CONTRAST_STD * slope
    std[names.index("agreement")] = 0.0
    in_phi = people.Judgments(_mapped(ukp.pairs, to_phi), ukp.people, ukp.item)
    both = people.pooled(in_phi, people.Judgments(_mapped(pandalm.pairs, to_phi), pandalm.people, pandalm.item))
    mean = people.aggregate(both, std)
    # The judges' pull towards longer texts is fitted, so that it does not pose as anything else, and then dropped.
    mean[names.index("brevity")] = 0.0

    judges = people.aggregate(in_phi.pairs, std)
    constants = people.choice_constants(in_phi.pairs.differences @ judges, in_phi.pairs.labels)
    model = ChoiceModel(**constants)
    taste = torch.tensor([head.name in PEOPLE for head in HEADS])
    spread = people.taste_spread(in_phi, judges, taste, torch.diag(taste.double()), model)
    free = torch.tensor([not head.protected for head in HEADS])
    covariance = torch.where(taste[:, None] & taste, spread, torch.diag(std.square() * free))
    population = {
        "population_weight": torch.ones(1),
        "population_mean": mean[None],
        "population_covariance": covariance[None],
    }
    spoken = {
        "contrast_std": CONTRAST_STD,
        "levels_per_spread": slopes,
        "aggregate": dict(zip(names, mean.tolist(), strict=True)),
        "std": dict(zip(names, covariance.diagonal().sqrt().tolist(), strict=True)),
        "people_covariance": spread[taste][:, taste].tolist(),
    }
    return population, model, spoken


def _mapped(pairs: Pairs, to_phi: Tensor) -> Pairs:
    return Pairs(pairs.differences @ to_phi, pairs.labels, pairs.groups, pairs.weights)


def _levels_per_spread(table: traits.BankTable, phi: Tensor, trait: str) -> float:
    """Slope of a trait's level on its head's φ within the prompts of the heads part.

    The best linear guess of a taste of w nats per level is w times this slope per spread: a head that sees its trait
    poorly gets a smaller prior, not a larger one.
    """
    rows = table.rows("heads")
    columns = torch.stack([phi[rows], table.levels[rows, table.traits.index(trait)].double()], dim=1)
    pairs = within_prompts(columns, columns[:, 1], table.prompts[rows])
    return float(pairs.differences[:, 0] @ pairs.labels / pairs.differences[:, 0].square().sum())


if __name__ == "__main__":
    main()
