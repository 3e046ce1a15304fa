"""What the worlds of texts know of a text, and nothing of the texts held out."""

import torch
from world_files import encode

from bench.compare.worlds.parts import QUESTIONS, TARGETS, TRAIN, parted
from bench.compare.worlds.text import LENGTH, response_features, statement_features
from reward_bases.sources.surface import surface
from reward_bases.text import Conversation


def test_texts_outside_training_change_nothing_in_training_features() -> None:
    prompts = torch.arange(12).repeat_interleave(5)
    conversations = [Conversation.of(f"What is {i}?") for i in prompts.tolist()]
    taught_ = prompts < 8
    responses = [f"It is {'very ' * (i % 7)}nice, number {i}." for i in range(60)]
    changed = [text if known else text * 9 + "!?" for text, known in zip(responses, taught_.tolist(), strict=True)]
    one, two = (response_features(conversations, texts, prompts, taught_, encode) for texts in (responses, changed))
    assert torch.equal(one[taught_], two[taught_])
    assert not torch.equal(one[~taught_], two[~taught_])


def test_features_outside_training_stay_in_the_range_of_training_but_for_length() -> None:
    texts = [f"Statement {'more ' * (i % 5)}number {i}." for i in range(40)] + ["Why?! (1; 2) " * 60]
    taught_ = torch.arange(41) < 40
    f = statement_features(texts, taught_, encode)
    inside = (f[40] <= f[:40].max(0).values + 1e-9) & (f[40] >= f[:40].min(0).values - 1e-9)
    assert torch.nonzero(~inside).flatten().tolist() == [LENGTH]
    assert torch.equal(f[:, -1], torch.ones(41, dtype=torch.float64))
    assert f.shape[1] == len(surface("")) + 32 + 1


def test_parts_come_in_their_shares() -> None:
    parts = parted(16, {TRAIN: 6, QUESTIONS: 5, TARGETS: 5}, torch.Generator().manual_seed(3))
    assert torch.bincount(parts).tolist() == [6, 5, 5]
