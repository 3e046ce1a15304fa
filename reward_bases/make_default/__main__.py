"""``python -m reward_bases.make_default --data DIR [--cache DIR]``: learn the default artifact and write its card."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.population import Component, Population
from reward_bases.artifact import DEFAULT, save_artifact
from reward_bases.bank import load_bank
from reward_bases.make_default import human_judgments
from reward_bases.make_default.card import external_checks, write_card
from reward_bases.make_default.reference import sample_reference
from reward_bases.population_codec import population_entry, population_tensors
from reward_bases.sources.encoder_files import load_encoder
from reward_bases.sources.features import FeatureSpace, feature_names
from reward_bases.train.features.vectors import VectorCache
from reward_bases.traits import traits
from reward_bases.traits.heads import AGREEMENT, HEADS, PEOPLE, QUALITY, TRAITS
from reward_bases.traits.pairs import Pairs, spread_of, within_prompts

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
QUALITY_ROW = [head.name for head in HEADS].index(QUALITY)
CONTRAST_STD = 2.0
"""Default prior: on a pair that differs by design in one trait, people's preferences have this spread, in nats.

A coefficient of 1 nat per spread over the two spreads by which such answers typically differ; somebody one standard
deviation out then takes their side seven times in eight (sigmoid(2) = 0.88).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with ukpconvarg1/ and pandalm/")
    parser.add_argument(
        "--cache", type=Path, default=Path("cache"), help="folder that caches sampled texts and vectors"
    )
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    build(arguments.data, arguments.cache)


def build(data: Path, cache: Path) -> None:
    """Learn heads, constants, population and choice model in that order; each step sees only what came before."""
    prompts = (DEFAULT / "reference_prompts.txt").read_text(encoding="utf-8").splitlines()
    responses = sample_reference(prompts, cache)
    encoder = load_encoder()
    vectors = VectorCache(encoder, cache)
    bank = load_bank(DEFAULT / "bank.json")
    asked = [prompt.conversation.last_user for prompt in bank.prompts for _ in prompt.answers]
    answers = [answer for prompt in bank.prompts for answer in prompt.answers]

    said = vectors.of([answer.text for answer in answers])
    rows = traits.BankTable.of(bank, torch.zeros(len(answers), 0))
    heads_part = rows.rows("heads")
    components = traits.principal_axes(said[heads_part], rows.prompts[heads_part], COMPONENTS)
    texts = [answer.text for answer in answers]
    unbounded = FeatureSpace.unbounded(components)
    space = unbounded.taught_on(human_judgments.plain_features(vectors, asked, texts, unbounded)[heads_part])
    table = traits.BankTable.of(bank, human_judgments.plain_features(vectors, asked, texts, space))
    ukp = human_judgments.load_ukp(data / "ukpconvarg1", vectors, space)
    pandalm = human_judgments.load_pandalm(data / "pandalm", vectors, space)

    weights = learn_heads(table, ukp, pandalm)
    flat = [(prompt, response) for prompt, row in zip(prompts, responses, strict=True) for response in row]
    sampled = human_judgments.plain_features(vectors, [p for p, _ in flat], [r for _, r in flat], space)
    rows_of = torch.arange(len(prompts)).repeat_interleave(len(responses[0]))
    raw = sampled @ weights.T
    mean, spread = raw.mean(0), spread_of(raw, rows_of)
    bank_phi = (table.features @ weights.T - mean) / spread

    controls = controls_of(table, weights[: len(TRAITS)])
    both = human_judgments.pooled(ukp, pandalm)
    judged = both.differences @ (weights.T / spread)
    judged[:, QUALITY_ROW] = human_judgments.held_out_quality(both, controls, sampled, rows_of)
    in_phi = Pairs(judged, both.labels, both.groups, both.weights)
    population, choice_model, spoken = learn_population(table, bank_phi, in_phi, ukp)
    tensors = {
        "components": components,
        "lowest": space.lowest,
        "highest": space.highest,
        "weights": weights,
        "mean": mean,
        "spread": spread,
        "reference": ((raw - mean) / spread).reshape(len(prompts), -1, len(HEADS)),
        "bank_phi": bank_phi,
        **population_tensors(population),
    }
    card = write_card(encoder, bank, table, weights, spread, spoken, responses, choice_model)
    card["metrics"]["external"] = external_checks(vectors, data / "pandalm", space, weights, ukp, pandalm, controls)
    save_artifact(DEFAULT, tensors, HEADS, card)


def learn_heads(
    table: traits.BankTable, ukp: human_judgments.SignedJudgments, pandalm: human_judgments.SignedJudgments
) -> Tensor:
    """W (K, F) in the order of HEADS."""
    names = feature_names(COMPONENTS)
    agreement = torch.zeros(len(names), dtype=torch.float64)
    for name in AGREEMENT:
        agreement[names.index(name)] = 1.0
    designed = torch.stack([traits.learn_trait(table, trait) for trait in TRAITS])
    controls = controls_of(table, designed)
    quality = human_judgments.quality_direction(human_judgments.pooled(ukp, pandalm), controls)
    return torch.cat([designed, human_judgments.taste_directions(ukp, controls), agreement[None], quality[None]])


def controls_of(table: traits.BankTable, designed: Tensor) -> human_judgments.Controls:
    """Length and the designed heads (T, F), over the differences between the answers of the heads part."""
    names = feature_names(COMPONENTS)
    length = torch.zeros(1, len(names), dtype=torch.float64)
    length[0, names.index("log_words")] = 1.0
    allowed = torch.tensor([name not in LENGTH_AND_LAYOUT and not name.endswith("_max") for name in names])
    return human_judgments.Controls(torch.cat([length, designed]), table.pairs("heads", TRAITS[0]).differences, allowed)


def learn_population(
    table: traits.BankTable, bank_phi: Tensor, both: Pairs, ukp: human_judgments.SignedJudgments
) -> tuple[Population, ChoiceModel, dict[str, Any]]:
    """λ̄ from both judgment sets (``both``, φ-differences, UKPConvArg1 first), Σ from UKPConvArg1 for its own heads and
    from the default contrast elsewhere."""
    names = [head.name for head in HEADS]
    slopes = {trait: _levels_per_spread(table, bank_phi[:, names.index(trait)], trait) for trait in TRAITS}
    std = torch.ones(len(HEADS), dtype=torch.float64)
    for trait, slope in slopes.items():
        std[names.index(trait)] = CONTRAST_STD * slope
    std[names.index("agreement")] = 0.0
    split = len(ukp.people)
    mean = human_judgments.common_taste(both, split, std)
    # The judges' pull towards longer texts is fitted, so that it does not pose as anything else, and then dropped.
    mean[names.index("brevity")] = 0.0

    arguments = both.where(torch.arange(len(both.labels)) < split)
    judges = human_judgments.aggregate(arguments, std)
    constants = human_judgments.choice_constants(arguments.differences @ judges, arguments.labels)
    model = ChoiceModel(**constants)
    taste = torch.tensor([head.name in PEOPLE for head in HEADS])
    spread, strengths = human_judgments.taste_spread(
        human_judgments.SignedJudgments(arguments, ukp.people, ukp.item),
        judges,
        taste,
        torch.diag(taste.double()),
        model,
    )
    free = torch.tensor([not head.protected for head in HEADS])
    covariance = torch.where(taste[:, None] & taste, spread, torch.diag(std.square() * free))
    population = Population((Component(1.0, mean, covariance),))
    spoken = {
        "contrast_std": CONTRAST_STD,
        "levels_per_spread": slopes,
        **population_entry(names, population),
        "people_covariance": spread[taste][:, taste].tolist(),
        "people_strength": strengths,
    }
    return population, model, spoken


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
